import { open } from 'node:fs/promises'
import type { Bits } from '../../../dist/bench/models/bits.js'
import { delays } from '../../../dist/bench/suites/event-loop.js'
import type { Summary } from '../../../dist/src/measure/samples.js'
import { settle } from '../turns.js'
import type { Contender, LoadedModel, Loader, ModelFiles, Session } from './contender.js'
import { type ContenderName, runtimes } from './runtimes.js'

/** The commands to a contender's process. It answers when its threads have gone to sleep. */
export type Commands = ReturnType<typeof commandsOf>

/** Steps after a prompt during which the event loop is watched. */
const WATCHED_STEPS = 32

/** As much as fits a cache. */
const CHUNK = 1 << 20

/** Runs commands on the model loaded last and the session opened last. */
export function commandsOf(name: ContenderName) {
  let contender: Contender
  let loader: Loader
  let model: LoadedModel
  let session: Session
  return {
    /** Starts the contender; returns what it is. */
    async start(threads: number): Promise<{ version: string; headBits: Bits }> {
      contender = await runtimes[name]()
      loader = await contender.start(threads)
      const { version, headBits = 8 } = contender
      return { version, headBits }
    },
    /** Reads the file of weights while the system has it in memory; microseconds. */
    async readWeights(files: ModelFiles): Promise<number> {
      await readThrough(contender.weights(files))
      return timed(() => readThrough(contender.weights(files)))
    },
    /** Loads a model, and runs it once, as files may be mapped and read only then; microseconds. */
    async load(files: ModelFiles): Promise<number> {
      const micros = await timed(async () => {
        model = await loader.load(files)
        session = await model.open(1, 8)
        await session.prefill([[0]])
      })
      await session.close()
      await settle()
      return micros
    },
    async open(sequences: number, length: number): Promise<void> {
      session = await model.open(sequences, length)
    },
    /** Prefills prompts; returns the next tokens, and how long it took, microseconds. */
    async prefill(prompts: number[][]): Promise<{ tokens: number[]; micros: number }> {
      let tokens: number[] = []
      const micros = await timed(async () => {
        tokens = await session.prefill(prompts)
      })
      await settle()
      return { tokens, micros }
    },
    /** Takes a step that wakes the threads, then some more; microseconds of each but the first. */
    async decode(count: number): Promise<number[]> {
      const times = await session.decode(1 + count)
      await settle()
      return times.slice(1).map((time, i) => (time - times[i]) * 1000)
    },
    async close(): Promise<void> {
      await session.close()
      await settle()
    },
    /** Delays of a timer of 1 ms during a prefill and some decode steps, microseconds. */
    async watchEventLoop(prompt: number[]): Promise<Summary> {
      session = await model.open(1, prompt.length + WATCHED_STEPS + 1)
      const late = await delays(async () => {
        await session.prefill([prompt])
        await session.decode(WATCHED_STEPS)
      })
      await session.close()
      await settle()
      return late
    },
  }
}

async function readThrough(file: string): Promise<void> {
  await using handle = await open(file)
  const chunk = new Uint8Array(CHUNK)
  while ((await handle.read(chunk)).bytesRead > 0);
}

/** How long it takes, microseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) * 1000
}

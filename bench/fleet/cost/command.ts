import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Command } from 'commander'
import { cachedModel } from '../../../dist/bench/models/cache.js'
import { modelShapes } from '../../../dist/bench/models/shapes.js'
import { Checkpoint } from '../../../dist/src/index.js'
import { digits, duration } from '../../../dist/src/measure/quantities.js'
import { type Load, runLoad, type Send } from '../../serve/load.js'
import { measure, type Result, type Way } from '../../serve/measure.js'
import { NatsServer } from '../nats-server.js'
import { addNumber, positive } from '../options.js'
import { httpSender } from './http.js'
import { ServeProcess } from './serve-process.js'

interface Options {
  model?: string
  threads: number
  streams?: number[]
  requests?: number
  prompt: number
  tokens: number
  rounds: number
}

export const costCommand = new Command('cost')
  .description(
    'measure what gateway and NATS take between a client and a worker, by turns with the worker alone',
  )
  .option(
    '--model <path>',
    'a folder or GGUF file (default: the shape of Qwen3-0.6B, with random weights)',
  )
  .option(
    '--threads <n>',
    'of each worker; a core is left to client, gateway and NATS',
    positive,
    1,
  )
  .option('--streams <n...>', 'requests at a time (default: 1 8 32)', addNumber)
  .option('--requests <n>', 'of each round (default: two for each stream)', positive)
  .option('--prompt <n>', 'tokens of a prompt', positive, 16)
  .option('--tokens <n>', 'tokens of an answer', positive, 32)
  .option('--rounds <n>', 'turns of each', positive, 5)
  .action(run)

/** Something whose CPU time is told. */
interface Part {
  readonly name: string
  readonly cpuMillis: number
}

async function run(options: Options): Promise<void> {
  const { threads, streams = [1, 8, 32], prompt, tokens, rounds } = options
  const path = await pathOf(options)
  await using checkpoint = await Checkpoint.open(path)
  const { vocabSize } = checkpoint.config
  const model = ['--model', `model=${path}`, '--quantize', 'w8a8', '--threads', `${threads}`]
  await using alone = await ServeProcess.start(...model)
  await using nats = await NatsServer.start()
  const fleet = ['--nats', nats.url]
  await using worker = await ServeProcess.start(...fleet, '--role', 'worker', ...model)
  await using gateway = await ServeProcess.start(...fleet, '--role', 'gateway')
  while (!(await hasModel(gateway))) await setTimeout(100)

  for (const count of streams) {
    const load = {
      streams: count,
      requests: options.requests ?? 2 * count,
      prompt,
      tokens,
      vocabSize,
    }
    const parts = {
      alone: [part('worker alone', alone)],
      fleet: [part('gateway', gateway), part('nats-server', nats), part('worker', worker)],
    }
    const meters = [new Meter(alone.url, parts.alone), new Meter(gateway.url, parts.fleet)]
    const ways: Way[] = [
      { name: 'worker alone', run: (load) => meters[0].run(load) },
      { name: 'fleet', run: (load) => meters[1].run(load) },
    ]
    print(count, await measure(ways, load, rounds), meters)
  }
}

async function pathOf({ model }: Options): Promise<string> {
  // npm changes the folder of this process
  if (model !== undefined) return resolve(process.env.INIT_CWD ?? '.', model)
  return (await cachedModel(modelShapes[0], 8)).q8_0
}

async function hasModel({ url }: ServeProcess): Promise<boolean> {
  const response = await fetch(`${url}/v1/models`)
  if (!response.ok) return false
  const { data } = (await response.json()) as { data: unknown[] }
  return data.length > 0
}

function part(name: string, process: { readonly cpuMillis: number }): Part {
  return {
    name,
    get cpuMillis() {
      return process.cpuMillis
    },
  }
}

/** Runs loads at an address, and counts the CPU time that its processes take for it. */
class Meter {
  readonly #send: Send
  readonly #parts: readonly Part[]
  /** Milliseconds of each part, all loads together. */
  readonly #millis: number[]
  #tokens = 0
  #isWarm = false

  constructor(url: string, parts: readonly Part[]) {
    this.#send = httpSender(url)
    this.#parts = parts
    this.#millis = parts.map(() => 0)
  }

  async run(load: Load) {
    const before = this.#parts.map(({ cpuMillis }) => cpuMillis)
    const own = process.cpuUsage()
    const answers = await runLoad(load, this.#send)
    const { user, system } = process.cpuUsage(own)
    if (this.#isWarm) {
      for (const [i, { cpuMillis }] of this.#parts.entries()) {
        this.#millis[i] += cpuMillis - before[i]
      }
      for (const { tokens } of answers) this.#tokens += tokens
    }
    // the first load connects, and compiles code
    this.#isWarm = true
    return { answers, cpuMillis: (user + system) / 1000 }
  }

  /** Of each part, the time for each token of an answer. */
  format(): string {
    return this.#parts
      .map(({ name }, i) => `${name} ${duration((1000 * this.#millis[i]) / this.#tokens)}`)
      .join(', ')
  }
}

function print(streams: number, results: readonly Result[], meters: readonly Meter[]): void {
  console.log(`\n${streams} streams`)
  for (const [i, { name, tokensPerSecond, firstToken, betweenTokens }] of results.entries()) {
    const times = [firstToken, betweenTokens].map(
      ({ median, p99 }) => `${duration(1000 * median)}, p99 ${duration(1000 * p99)}`,
    )
    console.log(
      `${name.padEnd(13)} ${digits(tokensPerSecond.median)} tokens/s, first token ${times[0]}, ` +
        `between ${times[1]}; CPU for each token: ${meters[i].format()}`,
    )
  }
  const [, { ofFirst, afterFirst }] = results
  console.log(
    `the fleet has ${ofFirst.median.toFixed(3)} (${ofFirst.min.toFixed(3)} to ${ofFirst.max.toFixed(3)}) of the ` +
      `tokens/s, its first token comes ${afterFirst.median.toFixed(2)} ms (${afterFirst.min.toFixed(2)} to ` +
      `${afterFirst.max.toFixed(2)}) later`,
  )
}

import { setTimeout } from 'node:timers/promises'
import { seededRandom } from '../../dist/src/model/generation/random.js'
import { randomPrompts } from '../peers/models/prompts.js'

/** Requests, and when they are sent. */
export interface Load {
  /** Each stream sends a request once it has the answer to the last; without this, requests are sent at random. */
  readonly streams?: number
  /** Requests that are sent in a second, on average: the times between them are exponential, as of Poisson arrivals. */
  readonly perSecond?: number
  /** All together. */
  readonly requests: number
  /** Tokens of each prompt, and of each answer. */
  readonly prompt: number
  readonly tokens: number
  /** Prompts are the same for the same seed, and begin differently: no prefix cache holds them. */
  readonly seed: number
  readonly vocabSize: number
}

/** When what came, milliseconds by the clock of the process that received it. */
export interface Answer {
  /** When it was asked for; in an open loop, when it was to be. */
  sent: number
  /** When each piece of text came. */
  readonly pieces: number[]
  readonly tokens: number
}

/** Sends a request. The answer is read once all are there, because that takes time from others. */
export type Send = (prompt: number[], tokens: number) => Promise<() => Answer>

/**
 * Sends all requests of a load.
 *
 * @throws Error where an answer fails, or has not all its tokens
 */
export async function runLoad(load: Load, send: Send): Promise<Answer[]> {
  const prompts = randomPrompts(load, load.requests, load.prompt, load.seed)
  const request = (prompt: number[]) => send(prompt, load.tokens)
  const answers = load.streams === undefined ? openLoop(load, prompts, request) : undefined
  const all = await (answers ?? closedLoop(load.streams ?? 1, prompts, request))
  for (const { tokens } of all) {
    if (tokens !== load.tokens) throw new Error(`${tokens} of ${load.tokens} tokens came`)
  }
  return all
}

type Request = (prompt: number[]) => Promise<() => Answer>

/** As many at once as there are streams. */
async function closedLoop(
  streams: number,
  prompts: readonly number[][],
  request: Request,
): Promise<Answer[]> {
  const reads: (() => Answer)[] = []
  const waiting = prompts.values()
  const stream = async () => {
    for (const prompt of waiting) reads.push(await request(prompt))
  }
  await Promise.all(Array.from({ length: streams }, stream))
  return reads.map((read) => read())
}

/** However many are not answered yet. */
async function openLoop(
  { perSecond = 1, seed }: Load,
  prompts: readonly number[][],
  request: Request,
): Promise<Answer[]> {
  const random = seededRandom(seed)
  const start = performance.now()
  let due = 0
  const reads = prompts.map(async (prompt) => {
    due -= (Math.log(1 - random()) / perSecond) * 1000
    const sent = start + due
    await setTimeout(due)
    const read = await request(prompt)
    return { ...read(), sent }
  })
  return await Promise.all(reads)
}

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
  /** Tokens of each prompt. */
  readonly prompt: number
  /** Tokens of an answer on average: from half to one and a half times as many, so that streams do not run in step. */
  readonly tokens: number
  /** Prompts are the same for the same seed, and begin differently: no prefix cache holds them. */
  readonly seed: number
  /** The lengths of answers, and the times between requests, are the same in the same round. */
  readonly round: number
  readonly vocabSize: number
}

/** When what came, milliseconds by the clock of the process that received it. */
export interface Answer {
  /** When it was asked for; in an open loop, when it was to be. */
  readonly sent: number
  /** When each piece of text came. */
  readonly pieces: number[]
  readonly tokens: number
}

/** What came of a load, and the CPU time that its client took, milliseconds. */
export interface Outcome {
  answers: Answer[]
  cpuMillis: number
}

/** Sends a request. The answer is read once all are there, because that takes time from others. */
export type Send = (prompt: number[], tokens: number) => Promise<() => Answer>

/**
 * Sends all requests of a load.
 *
 * @throws Error where an answer fails, or has not all its tokens
 */
export async function runLoad(load: Load, send: Send): Promise<Answer[]> {
  const random = seededRandom(load.round)
  const prompts = randomPrompts(load, load.requests, load.prompt, load.seed)
  const requests = prompts.map((prompt) => {
    const tokens = Math.ceil(load.tokens * (0.5 + random()))
    return async () => {
      const read = await send(prompt, tokens)
      return () => checkLength(read(), tokens)
    }
  })
  if (load.streams === undefined) return await openLoop(load, requests, random)
  return await closedLoop(load.streams, requests)
}

function checkLength(answer: Answer, tokens: number): Answer {
  if (answer.tokens === tokens) return answer
  throw new Error(`${answer.tokens} of ${tokens} tokens came`)
}

type Request = () => Promise<() => Answer>

/** As many at once as there are streams. */
async function closedLoop(streams: number, requests: readonly Request[]): Promise<Answer[]> {
  const reads: (() => Answer)[] = []
  const waiting = requests.values()
  const stream = async () => {
    for (const request of waiting) reads.push(await request())
  }
  await Promise.all(Array.from({ length: streams }, stream))
  return reads.map((read) => read())
}

/** However many are not answered yet. */
async function openLoop(
  { perSecond = 1 }: Load,
  requests: readonly Request[],
  random: () => number,
): Promise<Answer[]> {
  const start = performance.now()
  let due = 0
  const reads = requests.map(async (request) => {
    due -= (Math.log(1 - random()) / perSecond) * 1000
    const sent = start + due
    await setTimeout(due)
    const read = await request()
    return () => ({ ...read(), sent })
  })
  return (await Promise.all(reads)).map((read) => read())
}

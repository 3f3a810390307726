import { type Summary, summarize } from '../../dist/src/measure/samples.js'
import type { Load, Outcome } from './load.js'

/** A way to have requests answered. */
export interface Way {
  readonly name: string
  run(load: Load): Promise<Outcome>
}

/** What a way has reached under a load, over all rounds. */
export interface Result {
  name: string
  /** All streams together, of each round. */
  tokensPerSecond: Summary
  /** From when a request was sent to the first piece of its answer, milliseconds. */
  firstToken: Summary
  /** Between two pieces of an answer, milliseconds. */
  betweenTokens: Summary
  /** CPU time of the client, of one core's time. */
  client: number
  /** Tokens per second over those of the first way, round by round. */
  ofFirst: Summary
  /** The median time to the first token less that of the first way, round by round, milliseconds. */
  afterFirst: Summary
}

interface Turn {
  rate: number
  firstTokens: number[]
  gaps: number[]
  client: number
}

/** Runs a load by all ways, by turns in every round: what disturbs the machine disturbs all. */
export async function measure(
  ways: readonly Way[],
  load: Omit<Load, 'seed' | 'round'>,
  rounds: number,
): Promise<Result[]> {
  const turns: Turn[][] = ways.map(() => [])
  let seed = 1 // the same prompts in every run
  // untimed: connects, and compiles code
  for (const way of ways) await way.run({ ...load, requests: 1, seed: seed++, round: 0 })
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of ways.entries()) {
      turns[i].push(toTurn(await way.run({ ...load, seed: seed++, round })))
    }
  }
  const [first] = turns
  return ways.map(({ name }, i) => ({
    name,
    tokensPerSecond: summarize(turns[i].map(({ rate }) => rate)),
    firstToken: summarize(turns[i].flatMap(({ firstTokens }) => firstTokens)),
    betweenTokens: summarize(turns[i].flatMap(({ gaps }) => gaps)),
    client: summarize(turns[i].map(({ client }) => client)).median,
    ofFirst: summarize(turns[i].map(({ rate }, round) => rate / first[round].rate)),
    afterFirst: summarize(turns[i].map((turn, round) => medianOf(turn) - medianOf(first[round]))),
  }))
}

function medianOf({ firstTokens }: Turn): number {
  return summarize(firstTokens).median
}

function toTurn({ answers, cpuMillis }: Outcome): Turn {
  const start = Math.min(...answers.map(({ sent }) => sent))
  const end = Math.max(...answers.map(({ pieces }) => pieces[pieces.length - 1]))
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0)
  return {
    rate: (tokens / (end - start)) * 1000,
    firstTokens: answers.map(({ sent, pieces }) => pieces[0] - sent),
    gaps: answers.flatMap(({ pieces }) => pieces.slice(1).map((time, i) => time - pieces[i])),
    client: cpuMillis / (end - start),
  }
}

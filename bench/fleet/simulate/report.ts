import { type Summary, summarize } from '../../../dist/src/measure/samples.js'
import type { Arrivals } from './arrivals.js'
import type { FleetResult } from './fleet.js'
import type { PolicyName } from './policy.js'

/** A fleet and its load. */
export interface Scenario {
  workload: string
  arrivals: Arrivals
  machines: string
  workers: number
  gateways: number
  /** Requests in a second for each worker. */
  perSecond: number
}

/** What a policy has reached. */
export interface Line extends Scenario {
  policy: PolicyName
  requests: number
  /** Part of them that was refused. */
  refused: number
  /** Milliseconds. */
  firstToken: Pick<Summary, 'median' | 'p99'>
  /** Of an answer, between its first token and its last. */
  betweenTokens: Pick<Summary, 'median' | 'p99'>
  /** Until the last token, on average, milliseconds. */
  answer: number
  /** Tokens of answers in a second, for each worker. */
  tokensPerSecond: number
  /** Part of the tokens of prompts that was in the cache. */
  cached: number
  /** Part of the time that workers compute, on average. */
  busy: number
  /** The standard deviation of that over the workers, relative to it. */
  imbalance: number
}

export interface SimulationReport {
  seed: number
  warmUp: number
  counted: number
  lines: Line[]
}

export function summarizeFleet(
  scenario: Scenario,
  policy: PolicyName,
  { requests, answerTokens, busy }: FleetResult,
  end: number,
  counted: number,
): Line {
  const taken = requests.filter(({ isRefused }) => !isRefused)
  // of those that still wait it is known that it takes longer
  const firstTokens = taken.map(({ sent, firstToken }) => (firstToken || end) - sent)
  const answered = taken.filter(({ ended, answerTokens }) => ended > 0 && answerTokens > 1)
  const gaps = answered.map(
    ({ firstToken, ended, answerTokens }) => (ended - firstToken) / (answerTokens - 1),
  )
  const begun = taken.filter(({ firstToken }) => firstToken > 0)
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0)
  const answers = taken.map(({ sent, ended }) => (ended || end) - sent)
  const mean = sum(busy) / busy.length
  const variance = sum(busy.map((part) => (part - mean) ** 2)) / busy.length
  return {
    ...scenario,
    policy,
    requests: requests.length,
    refused: 1 - taken.length / requests.length,
    firstToken: medianAndP99(firstTokens),
    betweenTokens: medianAndP99(gaps),
    answer: sum(answers) / answers.length,
    tokensPerSecond: answerTokens / counted / busy.length,
    cached:
      sum(begun.map(({ cachedTokens }) => cachedTokens)) /
      sum(begun.map(({ promptTokens }) => promptTokens)),
    busy: mean,
    imbalance: Math.sqrt(variance) / mean,
  }
}

function medianAndP99(samples: readonly number[]): Pick<Summary, 'median' | 'p99'> {
  const { median, p99 } = summarize(samples)
  return { median, p99 }
}

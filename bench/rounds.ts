import { timeSync } from '../src/measure/samples.js'

/** Fewer rounds give no ratio. */
export const ROUNDS = 20

/** Budget of one round: dozens of short calls, two long ones. */
const BUDGET = { millis: 25, calls: 2 }

/** Some calls, and their upper bound at that time. */
export interface Round {
  /** Durations of the calls, microseconds. */
  micros: number[]
  /** Their bound, as a rate. */
  bound: number
}

/**
 * Times calls and their bound by turns. Other users of a shared machine slow it down, for a while, by half: within a
 * round both are slowed equally.
 *
 * @param call the measured call
 * @param measureBound measures the bound, a rate
 */
export function timeByTurns(call: () => unknown, measureBound: () => number): Round[] {
  return timeAllByTurns([call], measureBound)[0]
}

/**
 * The same for several calls, which all take a turn in every round, so that they can be compared.
 *
 * @returns the rounds of each call
 */
export function timeAllByTurns(calls: (() => unknown)[], measureBound: () => number): Round[][] {
  const rounds: Round[][] = calls.map(() => [])
  let before = measureBound()
  for (let i = 0; i < ROUNDS; i++) {
    const turns = calls.map((call) => timeSync(call, BUDGET))
    const after = measureBound()
    const bound = (before + after) / 2
    before = after
    for (const [j, micros] of turns.entries()) rounds[j].push({ micros, bound })
  }
  return rounds
}

import { timeSync } from '../src/measure/samples.js'

/** A ratio of fewer rounds is none. */
export const ROUNDS = 20

/** Of one round: dozens of short calls, two of long ones. */
const BUDGET = { millis: 25, calls: 2 }

/** Some calls, and what they could be at most at that time. */
export interface Round {
  /** Durations of the calls, microseconds. */
  micros: number[]
  /** Their bound, as a rate. */
  bound: number
}

/**
 * Times calls and their bound by turns. Other users of a shared machine slow it down, for a while, by
 * half: within a round both have the same machine.
 *
 * @param call what is measured
 * @param look measures the bound, a rate
 */
export function timeByTurns(call: () => unknown, look: () => number): Round[] {
  return timeAllByTurns([call], look)[0]
}

/**
 * The same for several calls, which all take a turn in every round, so that one may be held against
 * another.
 *
 * @returns the rounds of each call
 */
export function timeAllByTurns(calls: (() => unknown)[], look: () => number): Round[][] {
  const rounds: Round[][] = calls.map(() => [])
  let before = look()
  for (let i = 0; i < ROUNDS; i++) {
    const turns = calls.map((call) => timeSync(call, BUDGET))
    const after = look()
    const bound = (before + after) / 2
    before = after
    for (const [j, micros] of turns.entries()) rounds[j].push({ micros, bound })
  }
  return rounds
}

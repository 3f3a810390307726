import { type Summary, summarize } from '../src/measure/samples.js'
import type { Round } from './rounds.js'

/** A duration as a speed. */
export interface Speed {
  unit: 'GB/s' | 'GOPS'
  median: number
  /** Its upper bound. */
  bound?: { name: string; median: number; ratio: Summary }
}

/** The median of fewer ratios says nothing. */
const LEAST_RATIOS = 20

/** Amount per time: of bytes in GB/s, of operations in GOPS. */
export function rate(amount: number, micros: number): number {
  return amount / micros / 1e3
}

/**
 * The speed of the calls of all rounds.
 *
 * @param amount of one call: bytes for GB/s, operations for GOPS
 */
export function speed(unit: Speed['unit'], amount: number, rounds: Round[]): Speed {
  return { unit, median: rate(amount, medianOf(rounds.flatMap(({ micros }) => micros))) }
}

/**
 * The same with its ratio to the bound, taken round by round.
 *
 * @param bound the bound's name
 * @throws Error where the ratio would rest on too few rounds
 */
export function boundSpeed(
  unit: Speed['unit'],
  amount: number,
  rounds: Round[],
  bound: string,
): Speed {
  if (rounds.length < LEAST_RATIOS) {
    throw new Error(`a ratio needs ${LEAST_RATIOS} rounds, got ${rounds.length}`)
  }
  const ratio = summarize(rounds.map((round) => rate(amount, medianOf(round.micros)) / round.bound))
  const median = medianOf(rounds.map((round) => round.bound))
  return { ...speed(unit, amount, rounds), bound: { name: bound, median, ratio } }
}

/** The durations of calls over those of others that took turns with them, round by round. */
export function timesOf(rounds: Round[], others: Round[]): Summary {
  return summarize(rounds.map(({ micros }, i) => medianOf(micros) / medianOf(others[i].micros)))
}

/** The durations of all calls, microseconds. */
export function summarizeCalls(rounds: Round[]): Summary {
  return summarize(rounds.flatMap(({ micros }) => micros))
}

function medianOf(samples: number[]): number {
  return summarize(samples).median
}

/** An impossible result: one faster than the roofline that bounds it. */
export interface Impossible {
  name: string
  bound: string
  /** The median of the rounds' fractions. */
  ratio: number
}

/** A larger fraction cannot be noise. */
const LARGEST_FRACTION = 1.02

/** True upper bounds; other bounds only serve as a comparison. */
const rooflineNames = ['read', 'peak']

/** The speeds above their roofline, which must then be too low. */
export function impossibleSpeeds(name: string, speeds: readonly Speed[] = []): Impossible[] {
  return speeds.flatMap(({ bound }) => {
    if (bound === undefined || !rooflineNames.includes(bound.name)) return []
    const ratio = bound.ratio.median
    return ratio > LARGEST_FRACTION ? [{ name, bound: bound.name, ratio }] : []
  })
}

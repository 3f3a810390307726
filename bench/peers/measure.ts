import { randomFillSync } from 'node:crypto'
import type { Bits } from '../../dist/bench/models/bits.js'
import type { Round } from '../../dist/bench/rounds.js'
import type { Shape } from '../../dist/bench/runner.js'
import { boundSpeed, type Speed, summarizeCalls } from '../../dist/bench/speed.js'
import type { Rooflines } from '../../dist/src/measure/rooflines.js'
import { type Summary, summarize } from '../../dist/src/measure/samples.js'
import { errorOf, exactRow, isWrong } from './check.js'
import type { Contender, Layers, Way } from './contender.js'
import { layerBytes, randomWeight } from './rotation.js'
import { takeTurns } from './turns.js'

/** The speed of one way to run a Linear. */
export interface Result {
  /** The contender, and which way. */
  name: string
  /** Whether it belongs to a rival rather than the first contender. */
  rival: boolean
  /** The chosen operator, where there is a choice. */
  operator?: string
  shape: Shape
  m: number
  /** The distance of its result from the exact one, as a share of the exact one's norm. */
  error: number
  micros: Summary
  speed: Speed
  /** Its durations over those of the very first way, round by round. */
  timesFirst: Summary
}

/**
 * Measures all contenders in the same rounds, one shape and number of rows after the other.
 *
 * @throws Error where the first contender's results are wrong; wrong results of others are reported
 */
export async function* measure(
  contenders: readonly Contender[],
  rooflines: Rooflines,
  bits: Bits,
  shapes: readonly Shape[],
  rowCounts: readonly number[],
): AsyncGenerator<Result[]> {
  for (const shape of shapes) {
    const first = randomWeight(shape.n * shape.k, bits)
    const loaded: Layers[] = []
    for (const contender of contenders) loaded.push(await contender.load(shape, first))
    for (const m of rowCounts) {
      const x = randomRows(m, shape.k)
      const ways: Way[][] = []
      for (const layers of loaded) ways.push(await layers.take(x))
      yield await measureWays(ways, rooflines, { bits, shape, m }, exactRow(first, x, shape))
    }
    for (const layers of loaded) await layers.close()
  }
}

/**
 * @param ways of each contender
 * @param exact the exact result for the last row
 */
async function measureWays(
  ways: Way[][],
  rooflines: Rooflines,
  { bits, shape, m }: { bits: Bits; shape: Shape; m: number },
  exact: Float64Array,
): Promise<Result[]> {
  const all = ways.flat()
  const errors: number[] = []
  for (const way of all) errors.push(await errorOf(way, exact))
  for (const [i, { name }] of ways[0].entries()) {
    if (isWrong(errors[i]))
      throw new Error(`${name}: the result is off by ${errors[i]} of its norm`)
  }
  // one row is bound by reading weights, many by multiplying
  const bound = m === 1 ? rooflines.read : rooflines.peak
  const rounds = await takeTurns(all, () => bound.sample())
  return all.map((way, i) => ({
    name: way.name,
    rival: !ways[0].includes(way),
    ...(way.operator !== undefined && { operator: way.operator }),
    shape,
    m,
    error: errors[i],
    micros: summarizeCalls(rounds[i]),
    speed: boundSpeed(bound.unit, amount(shape, bits, m), rounds[i], bound.name),
    timesFirst: summarize(rounds[i].map((round, j) => median(round) / median(rounds[0][j]))),
  }))
}

/** float32 [M, K] */
export function randomRows(m: number, k: number): Float32Array {
  return new Float32Array(randomFillSync(new Int8Array(m * k)))
}

/** Bytes of weights, counted for every contender as dotpool has them, or operations. */
function amount(shape: Shape, bits: Bits, m: number): number {
  return m === 1 ? layerBytes(shape, bits) : 2 * m * shape.k * shape.n
}

function median({ micros }: Round): number {
  return summarize(micros).median
}

import type { Report } from '../../dist/bench/report.js'
import type { Shape } from '../../dist/bench/runner.js'
import type { Blocking } from './event-loop.js'
import type { Result } from './measure.js'

/** All results of a run: the content of `results.json`. */
export interface PeersReport extends Omit<Report, 'suites' | 'versions'> {
  versions: Record<string, string>
  absent: Absence[]
  /** By shape, then rows, then name. */
  results: Result[]
  eventLoop: Blocking[]
}

/** A rival that does not take part. */
export interface Absence {
  name: string
  why: string
}

/** All speeds, in the order of the results. */
export function namesOf({ results }: PeersReport): string[] {
  return [...new Set(results.map(({ name }) => name))]
}

/** The measured numbers of rows. */
export function rowCountsOf({ results }: PeersReport): number[] {
  return [...new Set(results.map(({ m }) => m))]
}

/** The measured shapes. */
export function shapesOf({ results }: PeersReport): Shape[] {
  const shapes = results.map(({ shape }) => shape)
  return shapes.filter(({ k, n }, i) => i === shapes.findIndex((s) => s.k === k && s.n === n))
}

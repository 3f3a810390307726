import type { Report } from '../../dist/bench/report.js'
import type { Load } from './load.js'
import type { Result } from './measure.js'

/** All results of a machine: the content of `results/*.json`. */
export interface ServeReport extends Pick<Report, 'machine' | 'isa' | 'compiler'> {
  /** By model and load; a new run of the same replaces the old. */
  runs: Run[]
}

/** A load on a model. */
export interface Run extends Omit<Load, 'seed' | 'round' | 'vocabSize'> {
  /** ISO 8601, when it began. */
  date: string
  versions: Record<string, string>
  model: string
  threads: number
  rounds: number
  results: Result[]
}

import type { Report } from '../../../dist/bench/report.js'
import type { Summary } from '../../../dist/src/measure/samples.js'
import type { Absence } from '../report.js'
import type { Agreement } from './check.js'
import type { Loading } from './loading.js'
import type { Result } from './measure.js'

/** All results of the benchmark: the content of `results.json`. */
export interface ModelsReport extends Pick<Report, 'date' | 'machine' | 'isa' | 'compiler'> {
  versions: Record<string, string>
  absent: Absence[]
  runs: Run[]
}

/** One shape at one number of threads. */
export interface Run extends Pick<Report, 'rooflines' | 'peakRate'> {
  shape: string
  threads: number
  agreement: Agreement
  loading: Loading[]
  /** By scenario, then name. */
  results: Result[]
  /** Delays of a timer of 1 ms meanwhile, microseconds. */
  eventLoop: { name: string; late: Summary }[]
}

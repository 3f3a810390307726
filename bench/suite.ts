import type { Pool } from '../src/index.js'
import type { Rooflines } from '../src/measure/rooflines.js'
import type { Summary } from '../src/measure/samples.js'
import type { Native } from '../src/native/abi.js'
import type { Runner } from './runner.js'
import type { Speed } from './speed.js'

/** A part of the benchmark: lines about one question. */
export interface Suite {
  /** Its name for `--scope`. */
  name: string
  /** What is measured, and against what, in one line. */
  title: string
  /** Measures; yields each line as soon as it is known. */
  run(context: Context): AsyncGenerator<Line>
}

/** What suites measure. */
export interface Context {
  pool: Pool
  native: Native
  rooflines: Rooflines
  /** The runtimes to measure: dotpool, and others to compare it with. */
  runners: Runner[]
}

/** One measured quantity. Its name is unique within the suite. */
export interface Line {
  name: string
  /** Microseconds, a share, times of something else, bytes. */
  unit: 'us' | '%' | 'x' | 'B'
  /** In `unit`. */
  measured: Summary
  speeds?: Speed[]
}

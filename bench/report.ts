import type { Pool } from '../src/index.js'
import { describeMachine, type Machine } from '../src/measure/machine.js'
import { measurePeakRate, type PeakRate } from '../src/measure/peak-rate.js'
import type { Rooflines } from '../src/measure/rooflines.js'
import { type Summary, summarize } from '../src/measure/samples.js'
import { version } from '../src/version.js'
import type { Line } from './suite.js'

/** All results of a run: what `--json` writes. */
export interface Report {
  /** ISO 8601, when the run began. */
  date: string
  versions: { dotpool: string; node: string; v8: string }
  machine: Machine
  isa: string
  /** The compiler that built the kernels; null where there are none. */
  compiler: string | null
  threads: number
  /** Over the whole run; those that a suite measured. */
  rooflines: { name: string; unit: string; rate: Summary }[]
  /** The multiply roofline per core; only where a suite measured it. */
  peakRate?: PeakRate
  suites: { name: string; lines: Line[] }[]
}

/** A report without results yet. */
export function beginReport(pool: Pool): Report {
  const { node, v8 } = process.versions
  return {
    date: new Date().toISOString(),
    versions: { dotpool: version, node, v8 },
    machine: describeMachine(),
    isa: pool.isa,
    compiler: pool.native?.compiler() ?? null,
    threads: pool.threads,
    rooflines: [],
    suites: [],
  }
}

/** The rooflines over the whole run, and the instructions that a core starts per cycle. */
export function summarizeRooflines(
  rooflines: Rooflines,
  isa: string,
): Pick<Report, 'rooflines' | 'peakRate'> {
  const { sampled } = rooflines
  return {
    rooflines: sampled.map(({ name, unit, rates }) => ({ name, unit, rate: summarize(rates) })),
    ...(sampled.some(({ name }) => name === 'peak') && {
      peakRate: measurePeakRate(rooflines, isa),
    }),
  }
}

/**
 * A name for a machine's results, so that those of several machines can be kept together: its CPU, as far as the system
 * tells, the kernels that ran, and its cores, e.g. `amd-epyc-avx2-2-cores`.
 */
export function resultsName({ machine, isa }: Pick<Report, 'machine' | 'isa'>): string {
  const cpu = machine.cpu
    .toLowerCase()
    .replace(/\((r|tm)\)|\b(processor|cpu|\d+-core)\b|@.*/g, '')
    .match(/[a-z0-9]+/g)
  return [...(cpu ?? []), isa, machine.cpus, machine.cpus === 1 ? 'core' : 'cores'].join('-')
}

/** The report as JSON, rounded to five digits: no measurement is more precise. */
export function formatReport(report: object): string {
  const round = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
  return `${JSON.stringify(report, round, 2)}\n`
}

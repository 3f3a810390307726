import { describeMachine, type Machine } from '../src/cli/machine.js'
import type { Rooflines } from '../src/cli/measure/rooflines.js'
import { type Summary, summarize } from '../src/cli/measure/samples.js'
import { version } from '../src/cli/package.js'
import type { Pool } from '../src/index.js'
import type { Line } from './suite.js'

/** Everything that a run has found out: what `--json` writes. */
export interface Report {
  /** ISO 8601, when the run began. */
  date: string
  versions: { dotpool: string; node: string; v8: string }
  machine: Machine
  isa: string
  threads: number
  /** Over the whole run; those that a suite looked at. */
  rooflines: { name: string; unit: string; rate: Summary }[]
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
    threads: pool.threads,
    rooflines: [],
    suites: [],
  }
}

/** What the rooflines were over the whole run. */
export function summarizeRooflines(rooflines: Rooflines): Report['rooflines'] {
  return rooflines.sampled.map(({ name, unit, rates }) => ({ name, unit, rate: summarize(rates) }))
}

/** The report as JSON; five digits are more than any measurement is good for. */
export function formatReport(report: object): string {
  const round = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
  return `${JSON.stringify(report, round, 2)}\n`
}

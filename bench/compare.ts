import { FormatError } from '../src/errors.js'
import type { Summary } from '../src/measure/samples.js'
import { readText } from '../src/model/json/files.js'
import type { Report } from './report.js'
import type { Line } from './suite.js'

/** A smaller relative difference is never a change: clock noise alone causes it. */
const LEAST_CHANGE = 0.05

/** A number that both runs have. */
interface Figure {
  /** Names the suite and the line. */
  name: string
  unit: string
  better: 'higher' | 'lower'
  median: number
  /** The distance from the median to the samples' nearer end. */
  noise: number
}

/** A figure that differs by more than the noise of both runs. */
export interface Change {
  name: string
  unit: string
  before: number
  after: number
  /** The noise of both runs together. */
  noise: number
}

export interface Comparison {
  /** Counts the figures that both runs have. */
  compared: number
  regressions: Change[]
  improvements: Change[]
}

/**
 * Reads a report that `--json` wrote.
 *
 * @throws FormatError for a file that is not a report, or cannot be read
 */
export async function readReport(file: string): Promise<Report> {
  const text = await readText(file)
  try {
    const report = JSON.parse(text) as Report
    // checks whatever a comparison needs
    if (figuresOf(report).some(({ median, noise }) => !Number.isFinite(median + noise))) {
      throw new TypeError('a figure is not a number')
    }
    return report
  } catch (cause) {
    throw new FormatError(file, 'not a report that `dotpool bench --json` wrote', { cause })
  }
}

/**
 * Lists what got worse and what got better from one run to another. A ratio to a bound is worse where it is lower,
 * everything else where it is higher; both by more than the noise of the two runs together.
 */
export function compareReports(before: Report, after: Report): Comparison {
  const old = new Map(figuresOf(before).map((figure) => [figure.name, figure]))
  const comparison: Comparison = { compared: 0, regressions: [], improvements: [] }
  for (const figure of figuresOf(after)) {
    const { name, unit, better, median } = figure
    const past = old.get(name)
    if (past?.unit !== unit) continue
    comparison.compared++
    const noise = Math.max(past.noise + figure.noise, LEAST_CHANGE * past.median)
    const change = { name, unit, before: past.median, after: median, noise }
    const gain = better === 'higher' ? median - past.median : past.median - median
    if (gain < -noise) comparison.regressions.push(change)
    if (gain > noise) comparison.improvements.push(change)
  }
  return comparison
}

/** Describes conditions that should be alike and differ between two runs. */
export function differences(before: Report, after: Report): string[] {
  const conditions = ({ machine, isa, threads, versions }: Report) => ({
    CPU: machine.cpu,
    kernels: isa,
    threads,
    'Node.js': versions.node,
  })
  const now = new Map(Object.entries(conditions(after)))
  return Object.entries(conditions(before))
    .filter(([what, then]) => then !== now.get(what))
    .map(([what, then]) => `${what} ${then} then, ${now.get(what)} now`)
}

function figuresOf({ suites }: Report): Figure[] {
  return suites.flatMap((suite) => suite.lines.map((line) => figureOf(suite.name, line)))
}

/**
 * The median of a line: for a duration with a bound, of its ratio to that bound, which a busy machine disturbs the
 * least; otherwise of the measured value.
 */
function figureOf(suite: string, { name, unit, measured, speeds = [] }: Line): Figure {
  const title = `${suite}: ${name}`
  const bound = unit === 'us' ? speeds.find((speed) => speed.bound !== undefined)?.bound : undefined
  if (bound === undefined) return { name: title, unit, better: 'lower', ...spreadOf(measured) }
  return { name: title, unit: `of ${bound.name}`, better: 'higher', ...spreadOf(bound.ratio) }
}

/** Disturbances pull samples away to one side; the other side shows how steady the run was. */
function spreadOf({ min, median, p99 }: Summary): Pick<Figure, 'median' | 'noise'> {
  return { median, noise: Math.min(median - min, p99 - median) }
}

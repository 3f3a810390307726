import { FormatError } from '../src/errors.js'
import type { Summary } from '../src/measure/samples.js'
import { readText } from '../src/model/json/files.js'
import type { Report } from './report.js'
import type { Line } from './suite.js'

/** Less than this part is never a change: clocks alone make it. */
const LEAST_CHANGE = 0.05

/** A number that two runs have in common. */
interface Figure {
  /** The suite's and the line's. */
  name: string
  unit: string
  better: 'higher' | 'lower'
  median: number
  /** How far samples lie from the median, on the side where they lie closer. */
  noise: number
}

/** A figure that differs by more than the noise of both runs. */
export interface Change {
  name: string
  unit: string
  before: number
  after: number
  /** Of both runs together. */
  noise: number
}

export interface Comparison {
  /** Figures that both runs have. */
  compared: number
  regressions: Change[]
  improvements: Change[]
}

/**
 * Reads a report that `--json` wrote.
 *
 * @throws FormatError for a file that is none, or cannot be read
 */
export async function readReport(file: string): Promise<Report> {
  const text = await readText(file)
  try {
    const report = JSON.parse(text) as Report
    // whatever a comparison needs is there
    if (figuresOf(report).some(({ median, noise }) => !Number.isFinite(median + noise))) {
      throw new TypeError('a figure is not a number')
    }
    return report
  } catch (cause) {
    throw new FormatError(file, 'not a report that `dotpool bench --json` wrote', { cause })
  }
}

/**
 * Tells what got worse and what got better from one run to another. A ratio to a bound is worse where it
 * is lower, everything else where it is higher; either way by more than the noise of the two runs together.
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

/** In what two runs differ that should be alike, in words. */
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
 * The median of a line: of a duration's ratio to its bound, where it has one, for a busy machine spoils
 * that the least; or else of what was measured.
 */
function figureOf(suite: string, { name, unit, measured, speeds = [] }: Line): Figure {
  const title = `${suite}: ${name}`
  const bound = unit === 'us' ? speeds.find((speed) => speed.bound !== undefined)?.bound : undefined
  if (bound === undefined) return { name: title, unit, better: 'lower', ...spreadOf(measured) }
  return { name: title, unit: `of ${bound.name}`, better: 'higher', ...spreadOf(bound.ratio) }
}

/** What disturbs a run pulls samples away to one side; the other side tells how steady it was. */
function spreadOf({ min, median, p99 }: Summary): Pick<Figure, 'median' | 'noise'> {
  return { median, noise: Math.min(median - min, p99 - median) }
}

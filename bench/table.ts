import { describePeakRate } from '../src/measure/peak-rate.js'
import { count, digits, duration } from '../src/measure/quantities.js'
import { type Change, type Comparison, differences } from './compare.js'
import type { Report } from './report.js'
import type { Impossible, Speed } from './speed.js'
import type { Line, Suite } from './suite.js'

/*
 * Lines are printed as they are measured, so columns have fixed widths.
 */

const NAME = 38
const CELL = 10

export function printHead({ versions, machine, isa, compiler, threads, date }: Report): void {
  const kernels = `${isa} by ${compiler} on ${count(threads, 'thread')}`
  console.log(`dotpool ${versions.dotpool}, ${kernels}, ${machine.cpu}`)
  console.log(`Node.js ${versions.node}, ${machine.system}, ${date}`)
}

export function printSuite({ name, title }: Suite): void {
  const cells = ['samples', 'min', 'median', 'p99', 'max'].map((cell) => cell.padStart(CELL))
  console.log(`\n${name}: ${title}`)
  console.log(' '.repeat(NAME) + cells.join(''))
}

export function printLine({ name, unit, measured, speeds = [] }: Line): void {
  const { samples, min, median, p99, max } = measured
  const format = unit === 'us' ? duration : (value: number) => `${digits(value)} ${unit}`
  const cells = [String(samples), ...[min, median, p99, max].map(format)]
  const aligned = cells.map((cell) => cell.padStart(CELL))
  console.log([name.padEnd(NAME), ...aligned, ...speeds.map(speedCell)].join('').trimEnd())
}

function speedCell({ unit, median, bound }: Speed): string {
  const value = `${digits(median)} ${unit}`.padStart(CELL + 2)
  return bound === undefined ? value : `${value}  ${bound.ratio.median.toFixed(2)} of ${bound.name}`
}

/** The rooflines over the whole run, one line each. */
export function printRooflines({ rooflines, peakRate }: Report): void {
  if (rooflines.length > 0) console.log('')
  for (const { name, unit, rate } of rooflines) {
    const range = `${digits(rate.min)} to ${digits(rate.max)} in ${rate.samples} samples`
    console.log(`${name}: ${digits(rate.median)} ${unit}, ${range}`)
  }
  if (peakRate !== undefined) console.log(`peak: ${describePeakRate(peakRate)}`)
}

/** Lines that were faster than their bound, which is impossible. */
export function printImpossible(lines: Impossible[]): void {
  for (const { name, ratio, bound } of lines) {
    console.log(`impossible: ${name} is ${ratio.toFixed(2)} of ${bound}, so ${bound} is too low`)
  }
}

/** Changes since the earlier run, one line each, the worst first. */
export function printComparison(before: Report, after: Report, comparison: Comparison): void {
  const { compared, regressions, improvements } = comparison
  console.log(`\ncompared with the run of ${before.date}`)
  for (const difference of differences(before, after)) console.log(`careful: ${difference}`)
  for (const change of regressions) console.log(`worse   ${changeCells(change)}`)
  for (const change of improvements) console.log(`better  ${changeCells(change)}`)
  const same = compared - regressions.length - improvements.length
  console.log(
    `${regressions.length} worse, ${improvements.length} better, ${same} within the noise`,
  )
}

function changeCells({ name, unit, before, after, noise }: Change): string {
  const [from, to, within] = [before, after, noise].map(digits)
  return `${name.padEnd(NAME + CELL)} ${from} -> ${to} ${unit}, noise ${within}`
}

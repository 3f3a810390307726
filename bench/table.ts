import { count, digits, duration } from '../src/cli/text.js'
import type { Report } from './report.js'
import type { Speed } from './speed.js'
import type { Line, Suite } from './suite.js'

/*
 * Lines are printed as they are measured, so columns have fixed widths.
 */

const NAME = 38
const CELL = 10

export function printHead({ versions, machine, isa, threads, date }: Report): void {
  console.log(`dotpool ${versions.dotpool}, ${isa} on ${count(threads, 'thread')}, ${machine.cpu}`)
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
export function printRooflines({ rooflines }: Report): void {
  if (rooflines.length > 0) console.log('')
  for (const { name, unit, rate } of rooflines) {
    const range = `${digits(rate.min)} to ${digits(rate.max)} in ${rate.samples} samples`
    console.log(`${name}: ${digits(rate.median)} ${unit}, ${range}`)
  }
}

import { count, digits, duration } from '../../../dist/src/measure/quantities.js'
import type { Agreement } from './check.js'
import type { Loading } from './loading.js'
import type { Result } from './measure.js'
import type { Run } from './report.js'

/*
 * Lines are printed as they are measured, so columns have fixed widths.
 */

const NAME = 28
const WHAT = 16

export function printHead(name: string, threads: number): void {
  console.log(`\n${name}, ${count(threads, 'thread')}`)
}

export function printLoading({ name, load, read }: Loading): void {
  const times = `${duration(load.median)}, reading its file ${duration(read.median)}`
  console.log(`${'load'.padEnd(WHAT)}${name.padEnd(NAME)}${times}`)
}

export function printAgreement({ prompts, agreeing }: Agreement): void {
  for (const [name, same] of Object.entries(agreeing)) {
    console.log(`${'agreement'.padEnd(WHAT)}${name.padEnd(NAME)}${same} of ${prompts} prompts`)
  }
}

export function printResult({ scenario, name, rate, speed, timesDotpool }: Result): void {
  const cells = [
    scenario.padEnd(WHAT),
    name.padEnd(NAME),
    `${digits(rate.median)} tokens/s (${digits(rate.min)} to ${digits(rate.max)})`,
    `, ${rate.samples} samples`,
  ]
  if (speed?.bound !== undefined) {
    cells.push(`, ${speed.bound.ratio.median.toFixed(2)} of ${speed.bound.name}`)
  }
  if (timesDotpool !== undefined)
    cells.push(`, ${timesDotpool.median.toFixed(2)} times as long as the first`)
  console.log(cells.join(''))
}

export function printEventLoop({ name, late }: Run['eventLoop'][number]): void {
  const times = `timers late by ${duration(late.p99)} at p99, ${duration(late.max)} at most`
  console.log(`${'event loop'.padEnd(WHAT)}${name.padEnd(NAME)}${times}`)
}

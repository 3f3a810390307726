import { digits, duration } from '../../dist/src/measure/quantities.js'
import { isWrong } from './check.js'
import type { Blocking } from './event-loop.js'
import type { Result } from './measure.js'

/*
 * Lines are printed as they are measured, so columns have fixed widths.
 */

export function printResult({ name, operator, shape, m, error, micros, speed }: Result): void {
  const cells = [
    `K=${shape.k} N=${shape.n} M=${m}`.padEnd(26),
    (operator === undefined ? name : `${name} (${operator})`).padEnd(58),
    duration(micros.median).padStart(8),
    `${digits(speed.median)} ${speed.unit}`.padStart(12),
  ]
  const { bound } = speed
  if (bound !== undefined) cells.push(`  ${bound.ratio.median.toFixed(2)} of ${bound.name}`)
  if (isWrong(error)) cells.push(`, WRONG by ${percent(error)}`)
  console.log(cells.join(''))
}

/** `19 %` */
export function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

export function printBlocking({ name, micros, delay }: Blocking): void {
  const call = `calls of ${duration(micros.median)}`
  console.log(`event loop  ${name}: ${call}, timers late by ${duration(delay.max)} at most`)
}

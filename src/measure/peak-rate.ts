import { type MultiplyUnit, multiplyUnits } from './multiply-units.js'
import { digits } from './quantities.js'
import type { Rooflines } from './rooflines.js'
import { summarize } from './samples.js'

/** The multiply roofline per core, beside its clock. */
export interface PeakRate {
  /** int8 operations of a core, two for each multiply-add. */
  gops: number
  /** Measured by additions that take a cycle each. */
  clockGHz: number
  /** Null where the compiler chooses the instructions. */
  unit: MultiplyUnit | null
  /** How many of `unit.instruction` a core started per cycle; null without a unit. */
  perCycle: number | null
}

/** Samples of peak and clock by turns; clocks change within seconds. */
const LOOKS = 9

/** Fewer multiplies than this share of the best cores' rate are reported. */
const FULL_RATE = 0.95

/** Measures the multiply roofline and the clock side by side. */
export function measurePeakRate(rooflines: Rooflines, isa: string): PeakRate {
  const { peak, clock, threads } = rooflines
  const looks = Array.from({ length: LOOKS }, () => {
    const [gops, clockGHz] = [peak.sample() / threads, clock.sample()]
    return { gops, clockGHz, perCycle: gops / clockGHz }
  })
  const median = (field: keyof (typeof looks)[0]) => summarize(looks.map((l) => l[field])).median
  const unit = multiplyUnits[isa] ?? null
  return {
    gops: median('gops'),
    clockGHz: median('clockGHz'),
    unit,
    perCycle: unit === null ? null : median('perCycle') / (2 * unit.macs),
  }
}

/** Describes the rate: what is assumed of the core, and whether it holds. */
export function describePeakRate({ gops, clockGHz, unit, perCycle }: PeakRate): string {
  const clock = `${digits(clockGHz)} GHz by additions of a cycle each`
  const speed = `${digits(gops)} GOPS a core`
  if (unit === null || perCycle === null) return `${speed}, the kernel's own from a cache; ${clock}`
  const { instruction, macs } = unit
  const assumed = `${unit.perCycle} ${instruction} a cycle`
  const inferred = digits(gops / (2 * macs * unit.perCycle))
  const words = `${speed}: ${assumed} of ${macs} multiply-adds at ${inferred} GHz; the clock is ${clock}`
  if (perCycle >= FULL_RATE * unit.perCycle) return words
  return `${words}, so with its additions this core starts ${digits(perCycle)} a cycle`
}

import {
  characters,
  choice,
  type Expression,
  empty,
  never,
  optional,
  repeat,
  sequence,
  text,
} from './expression.js'
import { anyInteger, anyNumber, digit, MAX_DIGITS } from './json-text.js'

/** A bound of numbers; which side it is on says whether it is a lower or an upper one. */
export interface Bound {
  readonly value: number
  readonly isInclusive: boolean
}

/** A bound of numbers that are not negative, in digits. */
interface Digits {
  /** Before the point. */
  readonly whole: string
  /** Behind the point; no zeros at its end. */
  readonly fraction: string
  readonly isInclusive: boolean
}

/** Integers within bounds, of at most {@link MAX_DIGITS} digits; nothing where there are none. */
export function integersWithin(lower: Bound | undefined, upper: Bound | undefined): Expression {
  if (lower === undefined && upper === undefined) return anyInteger
  const most = 10 ** MAX_DIGITS - 1
  const least = Math.max(lower === undefined ? -most : firstFrom(lower), -most)
  const last = Math.min(upper === undefined ? most : -firstFrom(negated(upper)), most)
  return choice([
    sequence(text('-'), naturals(Math.max(1, -last), -least)),
    naturals(Math.max(0, least), last),
  ])
}

/** The least integer that a lower bound admits. */
function firstFrom({ value, isInclusive }: Bound): number {
  const first = Math.ceil(value)
  return first === value && !isInclusive ? first + 1 : first
}

/**
 * Numbers within bounds, without an exponent. They have no more digits than a float64 tells apart: one beyond an
 * exclusive bound is not read as the bound.
 */
export function numbersWithin(lower: Bound | undefined, upper: Bound | undefined): Expression {
  if (lower === undefined && upper === undefined) return anyNumber
  const zero = { value: 0, isInclusive: true }
  const parts: Expression[] = []
  if (upper === undefined || upper.value >= 0) {
    const from = lower === undefined || lower.value < 0 ? zero : lower
    parts.push(magnitudes(digitsOf(from), upper && digitsOf(upper)))
  }
  if (lower === undefined || lower.value < 0) {
    const from =
      upper === undefined || upper.value >= 0 ? { ...zero, isInclusive: false } : negated(upper)
    parts.push(sequence(text('-'), magnitudes(digitsOf(from), lower && digitsOf(negated(lower)))))
  }
  return choice(parts)
}

function negated({ value, isInclusive }: Bound): Bound {
  return { value: -value, isInclusive }
}

/** The shortest decimal that is read as the bound: what is beyond it, is read as beyond the bound, or as equal. */
function digitsOf({ value, isInclusive }: Bound): Digits {
  const [mantissa, exponent = '0'] = String(Math.abs(value)).split('e')
  const [whole, fraction = ''] = mantissa.split('.')
  const point = whole.length + Number(exponent)
  const digits = (whole + fraction).padStart(
    whole.length + fraction.length + Math.max(0, -point),
    '0',
  )
  const at = Math.max(0, point)
  return {
    whole: digits.padEnd(at, '0').slice(0, at).replace(/^0+/, '') || '0',
    fraction: digits.slice(at).replace(/0+$/, ''),
    isInclusive,
  }
}

/** Integers from `first` to `last`, neither negative. */
function naturals(first: number, last: number): Expression {
  if (first > last) return never
  const [low, high] = [String(first), String(last)]
  const options: Expression[] = []
  for (let length = low.length; length <= high.length; length++) {
    const from = length === low.length ? low : '1'.padEnd(length, '0')
    const to = length === high.length ? high : ''.padEnd(length, '9')
    options.push(between(from, to))
  }
  return choice(options)
}

/** Digits of one length. */
function between(low: string, high: string): Expression {
  const rest = low.length - 1
  if (rest < 0) return empty
  const [first, last] = [Number(low[0]), Number(high[0])]
  const [zeros, nines] = [''.padEnd(rest, '0'), ''.padEnd(rest, '9')]
  if (low.slice(1) === zeros && high.slice(1) === nines) {
    return sequence(digitFrom(first, last), repeat(digit, rest, rest))
  }
  if (first === last) return sequence(text(low[0]), between(low.slice(1), high.slice(1)))
  return choice([
    sequence(text(low[0]), between(low.slice(1), nines)),
    first + 1 < last ? sequence(digitFrom(first + 1, last - 1), repeat(digit, rest, rest)) : never,
    sequence(text(high[0]), between(zeros, high.slice(1))),
  ])
}

function digitFrom(first: number, last: number): Expression {
  return characters([0x30 + first, 0x30 + last])
}

/** Numbers that are not negative. */
function magnitudes(low: Digits, high: Digits | undefined): Expression {
  if (low.whole.length > MAX_DIGITS) return never
  const isBounded = high !== undefined && high.whole.length <= MAX_DIGITS
  const upper = isBounded
    ? high
    : { whole: `${10 ** MAX_DIGITS}`, fraction: '', isInclusive: false }
  const [first, last] = [Number(low.whole), Number(upper.whole)]
  if (first > last) return never
  const places = Math.max(1, MAX_DIGITS - (isBounded ? upper : low).whole.length)
  const below = isBounded ? limitOf(upper) : undefined
  if (first === last) return sequence(text(low.whole), fraction(limitOf(low), below, places))
  return choice([
    sequence(text(low.whole), fraction(limitOf(low), undefined, places)),
    sequence(naturals(first + 1, last - 1), fraction(undefined, undefined, places)),
    isBounded ? sequence(text(upper.whole), fraction(undefined, below, places)) : never,
  ])
}

/** What is left of a bound that the digits so far are equal to. */
interface Limit {
  readonly digits: string
  readonly isInclusive: boolean
}

function limitOf({ fraction, isInclusive }: Digits): Limit {
  return { digits: fraction, isInclusive }
}

/** A point and digits behind it, or nothing. */
function fraction(low: Limit | undefined, high: Limit | undefined, places: number): Expression {
  const digits = sequence(text('.'), decimals(low, high, places, true))
  return isWithin(low, high) ? optional(digits) : digits
}

/** Whether a number may end here. */
function isWithin(low: Limit | undefined, high: Limit | undefined): boolean {
  const isHighEnough = low === undefined || (low.digits === '' && low.isInclusive)
  return isHighEnough && (high === undefined || high.digits !== '' || high.isInclusive)
}

function decimals(
  lower: Limit | undefined,
  high: Limit | undefined,
  places: number,
  isFirst: boolean,
): Expression {
  const low = lower?.digits === '' && lower.isInclusive ? undefined : lower
  if (low === undefined && high === undefined) return repeat(digit, isFirst ? 1 : 0, places)
  const options = isFirst || !isWithin(low, high) ? [] : [empty]
  if (places > 0) {
    const [first, last] = [headOf(low, 0), headOf(high, 9)]
    for (const value of new Set([first, last])) {
      const beyond = first <= value && value <= last
      if (!beyond) continue
      const rest = decimals(
        value === first ? tailOf(low) : undefined,
        value === last ? tailOf(high) : undefined,
        places - 1,
        false,
      )
      options.push(sequence(text(`${value}`), rest))
    }
    if (first + 1 < last) {
      options.push(sequence(digitFrom(first + 1, last - 1), repeat(digit, 0, places - 1)))
    }
  }
  return choice(options)
}

function headOf(limit: Limit | undefined, otherwise: number): number {
  return limit === undefined ? otherwise : Number(limit.digits[0] ?? 0)
}

function tailOf(limit: Limit | undefined): Limit | undefined {
  return limit && { ...limit, digits: limit.digits.slice(1) }
}

import type { CodePoints } from '../syntax/expression.js'

/** Bytes from the first to the last. */
export type Bytes = readonly [first: number, last: number]

/** The last code points of one, two, three and four bytes. */
const LASTS = [0x7f, 0x7ff, 0xffff, 0x10ffff]

/** The UTF-8 of code points, as sequences of ranges of bytes: each sequence has all combinations of its ranges. */
export function utf8Ranges([first, last]: CodePoints): Bytes[][] {
  const length = lengthOf(first)
  if (last > LASTS[length - 1]) {
    const middle = LASTS[length - 1]
    return [...utf8Ranges([first, middle]), ...utf8Ranges([middle + 1, last])]
  }
  // cut where the later bytes do not have all their values
  for (let later = 1; later < length; later++) {
    const mask = 2 ** (6 * later) - 1
    if ((first & ~mask) === (last & ~mask)) continue
    if ((first & mask) !== 0) return cut(first, first | mask, last)
    if ((last & mask) !== mask) return cut(first, (last & ~mask) - 1, last)
  }
  const [low, high] = [encode(first, length), encode(last, length)]
  return [low.map((byte, i): Bytes => [byte, high[i]])]
}

function cut(first: number, middle: number, last: number): Bytes[][] {
  return [...utf8Ranges([first, middle]), ...utf8Ranges([middle + 1, last])]
}

function lengthOf(codePoint: number): number {
  return LASTS.findIndex((last) => codePoint <= last) + 1
}

function encode(codePoint: number, length: number): number[] {
  if (length === 1) return [codePoint]
  const later = Array.from({ length: length - 1 }, (_, i) => {
    return 0x80 | ((codePoint >> (6 * (length - 2 - i))) & 0x3f)
  })
  const lead = (0xf00 >> length) & 0xff
  return [lead | (codePoint >> (6 * (length - 1))), ...later]
}

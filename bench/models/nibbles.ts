import { INT4_OFFSET } from '../../src/reference/int4.js'

/** Nibbles of values from -8 to 7, two a byte, the first one low, as values from 0 to 15. */
export function toNibbles(values: Int8Array): Uint8Array {
  const nibbles = new Uint8Array(values.length / 2)
  for (let i = 0; i < nibbles.length; i++) {
    nibbles[i] = (values[2 * i] + INT4_OFFSET) | ((values[2 * i + 1] + INT4_OFFSET) << 4)
  }
  return nibbles
}

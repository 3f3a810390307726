import { floatToBf16, type Pool } from 'dotpool'
import type { Op } from '#src/pool/program.js'
import { characters, fill } from '../support/random.js'

/** Runs one op on all of the pool's threads; returns its fault. */
export function runOp(pool: Pool, op: Op): Promise<number> {
  return pool.run({ ops: () => [op] })
}

/** All of the work. */
export const whole = { part: 0, parts: 1 }

/** A copy where workers see it. */
export function share(pool: Pool, values: Float32Array): Float32Array {
  const shared = pool.memory.array('float32', values.length)
  shared.set(values)
  return shared
}

/** The same for words. */
export function shareWords(pool: Pool, values: ArrayLike<number>): Uint32Array {
  const bytes = pool.memory.bytes(values.length * 4)
  const shared = new Uint32Array(bytes.buffer, bytes.byteOffset, values.length)
  shared.set(values)
  return shared
}

/** Rows of floats of any character, some with a NaN or an infinity. */
export function anyRows(rows: number, width: number, random: () => number): Float32Array {
  const values = new Float32Array(rows * width)
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let m = 0; m < rows; m++) {
    const row = values.subarray(m * width, (m + 1) * width)
    fill(row, characters[Math.floor(random() * characters.length)], random)
    if (random() < 0.1) row[Math.floor(random() * width)] = bad[Math.floor(random() * 3)]
  }
  return values
}

/** The bits of the bfloat16 nearest to each. */
export function toBf16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, floatToBf16)
}

import { floatToBf16, type Pool } from 'dotpool'
import type { Op } from '#src/native/op.js'
import { distributions, fill } from '../support/random.js'

/** Runs one op on all of the pool's threads; returns its fault. */
export function runOp(pool: Pool, op: Op): Promise<number> {
  return pool.run({ ops: () => [op] })
}

/** All of the work, for a runner that divides it. */
export const whole = { part: 0, parts: 1 }

/** Copies the values into memory that workers see. */
export function share(pool: Pool, values: Float32Array): Float32Array {
  const shared = pool.memory.array('float32', values.length)
  shared.set(values)
  return shared
}

/** The same for 32-bit words. */
export function shareWords(pool: Pool, values: ArrayLike<number>): Uint32Array {
  const bytes = pool.memory.bytes(values.length * 4)
  const shared = new Uint32Array(bytes.buffer, bytes.byteOffset, values.length)
  shared.set(values)
  return shared
}

/** Rows of floats of mixed distributions, some with a NaN or an infinity. */
export function anyRows(rows: number, width: number, random: () => number): Float32Array {
  const values = new Float32Array(rows * width)
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let m = 0; m < rows; m++) {
    const row = values.subarray(m * width, (m + 1) * width)
    fill(row, distributions[Math.floor(random() * distributions.length)], random)
    if (random() < 0.1) row[Math.floor(random() * width)] = bad[Math.floor(random() * 3)]
  }
  return values
}

/** Rounds each value to bfloat16. */
export function toBf16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, floatToBf16)
}

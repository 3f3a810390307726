import { Linear } from '../../ops/linear.js'
import { type LinearOptions, weightBytes } from '../../ops/weight.js'
import type { Pool } from '../../pool/pool.js'
import { decodeInt4, type Int4Weight } from '../../reference/int4.js'
import type { WeightShape } from '../../reference/quantize.js'

// MERGE: the only file that knows how a 4-bit Linear is made, and what it was made of; Linear.fromInt4 replaces it all

const sources = new WeakMap<object, Int4Weight>()

/** Makes a 4-bit Linear: the int8 Linear of the decoded weight. */
export async function makeInt4Linear(
  pool: Pool,
  weight: Int4Weight,
  scale: Float32Array,
  options: LinearOptions,
): Promise<Linear> {
  const linear = await Linear.fromInt8(pool, decodeInt4(weight, options), scale, options)
  sources.set(linear, weight)
  return linear
}

/** The weight of a 4-bit Linear; undefined for any other. */
export function int4WeightOf(linear: object | undefined): Int4Weight | undefined {
  return linear && sources.get(linear)
}

/** The memory of the weights of a 4-bit Linear, bytes. */
export function int4WeightBytes(shape: WeightShape, bias: boolean): number {
  return weightBytes(shape, bias)
}

import { randomFillSync } from 'node:crypto'
import type { Bits } from '../../dist/bench/models/bits.js'
import { ROTATION_BYTES, type Shape } from '../../dist/bench/runner.js'

/** Bytes of a layer's weights: in four bits with one more for each 32. */
export function layerBytes({ k, n }: Shape, bits: Bits): number {
  return k * n * (bits === 8 ? 1 : 17 / 32)
}

/** How many layers of a shape exceed every cache. */
export function rotationLength(shape: Shape, bits: Bits): number {
  return Math.ceil(ROTATION_BYTES / layerBytes(shape, bits))
}

/** Random weights: int8 [length], of 4 bits from -8 to 7. */
export function randomWeight(length: number, bits: Bits): Int8Array {
  const weight = randomFillSync(new Int8Array(length))
  if (bits === 4) for (let i = 0; i < length; i++) weight[i] >>= 4
  return weight
}

/**
 * Weights of layers, int8 [N * K], one after the other. All differ: onnxruntime would keep equal ones once only, and
 * that copy would stay in the cache.
 *
 * @param first the first layer's
 */
export function* rotationWeights(
  first: Int8Array,
  count: number,
  bits: Bits,
): Generator<Int8Array> {
  yield first
  for (let i = 1; i < count; i++) yield randomWeight(first.length, bits)
}

/** Returns one element after the other, again and again. */
export function inTurns<T>(elements: readonly T[]): () => T {
  let turn = 0
  return () => elements[turn++ % elements.length]
}

/** [N, K] to [K, N]. */
export function transpose(weight: Int8Array, { k, n }: Shape): Int8Array {
  const transposed = new Int8Array(weight.length)
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < k; i++) transposed[i * n + j] = weight[j * k + i]
  }
  return transposed
}

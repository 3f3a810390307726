import { randomFillSync } from 'node:crypto'
import { ROTATION_BYTES, type Shape } from '../../dist/bench/runner.js'

/** How many layers of a shape exceed every cache, with `bytes` of weights each. */
export function rotationLength({ k, n }: Shape, bytes = k * n): number {
  return Math.ceil(ROTATION_BYTES / bytes)
}

/**
 * Weights of layers, int8 [N * K], one after the other. All differ: onnxruntime would keep equal ones once only, and
 * that copy would stay in the cache.
 *
 * @param first the first layer's
 */
export function* rotationWeights(first: Int8Array, count: number): Generator<Int8Array> {
  yield first
  for (let i = 1; i < count; i++) yield randomFillSync(new Int8Array(first.length))
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

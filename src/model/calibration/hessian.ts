import { DenseWeight } from '../../ops/dense-weight.js'
import { FloatLinear } from '../../ops/float-linear.js'
import type { Pool } from '../../pool/pool.js'

/** Elements of the product that are added between the event loop's turns: a millisecond or two. */
const PIECE = 1 << 20

/**
 * H[K, K] = sum over tokens of x x^T, x[K] a Linear's input for a token. An error e[K] of an output channel's weights
 * w[K] changes its outputs by e x; the squares of these changes add up to e H e^T.
 */
export class Hessian {
  /** K */
  readonly inFeatures: number
  /** float64 [K, K], symmetric, in memory that all threads see. */
  readonly sums: Float64Array
  readonly #pool: Pool

  constructor(pool: Pool, inFeatures: number) {
    this.inFeatures = inFeatures
    this.sums = new Float64Array(new SharedArrayBuffer(8 * inFeatures ** 2))
    this.#pool = pool
  }

  /**
   * H += x^T x, as the product of a Linear whose weight is x^T.
   *
   * @param x float32 [tokens, K]
   */
  async add(x: Float32Array, signal?: AbortSignal): Promise<void> {
    const K = this.inFeatures
    const tokens = x.length / K
    const columns = transpose(x, K)
    const weight = new DenseWeight(this.#pool, 'float32', K, tokens)
    weight.set(0, columns)
    const linear = FloatLinear.fromDense(this.#pool, weight)
    const step = Math.max(1, Math.floor(PIECE / K))
    for (let first = 0; first < K; first += step) {
      const rows = columns.subarray(first * tokens, (first + step) * tokens)
      const product = await linear.forward(rows, { signal })
      for (let i = 0; i < product.length; i++) this.sums[first * K + i] += product[i]
    }
    this.#pool.memory.free(weight.data)
  }
}

/** Transposes [rows, columns] to [columns, rows]. */
function transpose(x: Float32Array, columns: number): Float32Array {
  const rows = x.length / columns
  const turned = new Float32Array(x.length)
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) turned[k * rows + row] = x[row * columns + k]
  }
  return turned
}

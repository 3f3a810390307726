import { DenseWeight } from '../../layouts/dense-weight.js'
import { FloatLinear } from '../../ops/float-linear.js'
import type { Pool } from '../../pool/pool.js'

/** Elements of the product that are added at a time: a millisecond or two between the event loop's turns. */
const PIECE = 1 << 20

/**
 * H[K, K] = sum over tokens of x x^T, x[K] what a Linear is given for a token. Weights w[K] of an output channel that
 * are off by e[K] change its outputs by e x, whose squares add up to e H e^T.
 */
export class Hessian {
  /** K */
  readonly inFeatures: number
  /** float64 [K, K], symmetric, where all threads see it. */
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

/** [rows, columns] as [columns, rows] */
function transpose(x: Float32Array, columns: number): Float32Array {
  const rows = x.length / columns
  const turned = new Float32Array(x.length)
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) turned[k * rows + row] = x[row * columns + k]
  }
  return turned
}

import { OpKind } from '../../native/layout.js'
import type { Pool } from '../../pool/pool.js'
import { runToEnd } from '../../pool/run-to-end.js'
import { denseStride } from '../../reference/sum16.js'

/** Rows of the product that are added between the event loop's turns: a millisecond or two. */
const ROWS = 256

/**
 * H[K, K] = sum over tokens of x x^T, x[K] a Linear's input for a token. An error e[K] of an output channel's weights
 * w[K] changes its outputs by e x; the squares of these changes add up to e H e^T.
 */
export class Hessian {
  /** K */
  readonly inFeatures: number
  /** float32 [K, K], in memory that all threads see: H[i, j] for j >= i, any numbers elsewhere. */
  readonly sums: Float32Array
  readonly #pool: Pool
  /** x^T, rows padded with zeros, and some rows of its product with x. */
  #columns: Float32Array = new Float32Array(0)
  readonly #products: Float32Array

  constructor(pool: Pool, inFeatures: number) {
    this.inFeatures = inFeatures
    this.sums = pool.memory.array('float32', inFeatures ** 2)
    this.#pool = pool
    this.#products = pool.memory.array('float32', Math.min(ROWS, inFeatures) * inFeatures)
  }

  /** Begins anew. */
  clear(): void {
    this.sums.fill(0)
  }

  /**
   * H += x^T x, right of the diagonal.
   *
   * @param x float32 [tokens, K]
   */
  async add(x: Float32Array, signal?: AbortSignal): Promise<void> {
    const K = this.inFeatures
    const stride = denseStride(x.length / K)
    this.#transpose(x, stride)
    for (let first = 0; first < K; first += ROWS) {
      const m = Math.min(ROWS, K - first)
      const columns = K - first
      const data = this.#columns.subarray(first * stride)
      const shape = { type: 'float32', inFeatures: stride, outFeatures: columns } as const
      const address = this.#pool.addressOf(data)
      const weight = { ...shape, data, address, bias: undefined, biasAddress: 0 }
      const y = this.#products
      await runToEnd(this.#pool, [{ kind: OpKind.dense, m, x: data, weight, y }], signal)
      for (let i = 0; i < m; i++) {
        const to = (first + i) * K + first
        for (let j = i; j < columns; j++) this.sums[to + j] += y[i * columns + j]
      }
    }
  }

  /** columns[K, stride] = x^T */
  #transpose(x: Float32Array, stride: number): void {
    const K = this.inFeatures
    const tokens = x.length / K
    const size = K * stride
    if (this.#columns.length !== size) this.#columns = this.#pool.memory.array('float32', size)
    // a tile at a time, which the caches hold
    for (let from = 0; from < K; from += 16) {
      const to = Math.min(from + 16, K)
      for (let token = 0; token < tokens; token++) {
        for (let k = from; k < to; k++) this.#columns[k * stride + token] = x[token * K + k]
      }
    }
  }
}

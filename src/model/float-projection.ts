import { ArgumentError, DisposedError, describe } from '../errors.js'
import { dotRows } from './dot.js'
import { pause, pauseDue } from './event-loop.js'
import type { Projection } from './projection.js'

/** Channels per step: their weights stay in cache while all M rows use them. */
const CHANNELS = 64

/** y[M, N] = x[M, K] . w[N, K]^T + bias[N] in float32, in plain TypeScript on the calling thread. */
export class FloatProjection implements Projection {
  readonly inFeatures: number
  readonly outFeatures: number
  readonly #bias: Float32Array | undefined
  #weight: Float32Array | undefined

  /**
   * @param weight float32 [N, K], row-major, held without a copy
   * @param inFeatures K
   * @param bias float32 [N]
   */
  constructor(weight: Float32Array, inFeatures: number, bias?: Float32Array) {
    this.inFeatures = inFeatures
    this.outFeatures = weight.length / inFeatures
    this.#weight = weight
    this.#bias = bias
  }

  /** float32 [N, K]. */
  get weight(): Float32Array {
    if (this.#weight === undefined) throw new DisposedError(String(this))
    return this.#weight
  }

  /** float32 [N], where there is one. */
  get bias(): Float32Array | undefined {
    return this.#bias
  }

  async forward(x: Float32Array, options: { signal?: AbortSignal } = {}): Promise<Float32Array> {
    const { inFeatures: K, outFeatures: N, weight } = this
    if (x.length % K !== 0) {
      throw new ArgumentError('x', `a length that is a multiple of ${K}`, describe(x))
    }
    const M = x.length / K
    const y = new Float32Array(M * N)
    for (let n = 0; n < N; n += CHANNELS) {
      const count = Math.min(CHANNELS, N - n)
      for (let m = 0; m < M; m++) {
        dotRows(x, m * K, weight, n * K, K, y, m * N + n, count, K)
        if (pauseDue()) await pause(options.signal)
      }
    }
    if (this.#bias !== undefined) addBias(y, this.#bias)
    return y
  }

  dispose(): void {
    this.#weight = undefined
  }

  toString(): string {
    const { inFeatures, outFeatures } = this
    const bias = this.#bias !== undefined
    return `Linear(in_features=${inFeatures}, out_features=${outFeatures}, bias=${bias}, dtype=float32)`
  }
}

function addBias(y: Float32Array, bias: Float32Array): void {
  for (let at = 0; at < y.length; at += bias.length) {
    for (let n = 0; n < bias.length; n++) y[at + n] += bias[n]
  }
}

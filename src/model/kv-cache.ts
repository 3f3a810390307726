import { checkInteger } from '../errors.js'
import type { ModelConfig } from './config.js'

/** The keys and values of the ids that one sequence has seen. One sequence, one cache. */
export class KvCache {
  readonly config: ModelConfig
  /** The most ids it can hold. */
  readonly capacity: number
  readonly layers: readonly LayerCache[]
  /** The ids it holds. Lower it to forget the last ones. */
  length = 0

  /**
   * @param config of the model
   * @param capacity in [1, config.maxPositionEmbeddings]
   * @throws ArgumentError
   */
  constructor(config: ModelConfig, capacity: number) {
    checkInteger('capacity', capacity, 1, config.maxPositionEmbeddings)
    this.config = config
    this.capacity = capacity
    this.layers = Array.from(
      { length: config.numHiddenLayers },
      () => new LayerCache(config.numKeyValueHeads, config.headDim, capacity),
    )
  }
}

/** The keys and values of one layer, laid out so that attention reads both along rows. */
export class LayerCache {
  readonly kvHeads: number
  readonly headDim: number
  readonly capacity: number
  /** float32 [kvHeads, capacity, headDim] */
  readonly keys: Float32Array
  /** float32 [kvHeads, headDim, capacity] */
  readonly values: Float32Array

  constructor(kvHeads: number, headDim: number, capacity: number) {
    this.kvHeads = kvHeads
    this.headDim = headDim
    this.capacity = capacity
    this.keys = new Float32Array(kvHeads * capacity * headDim)
    this.values = new Float32Array(kvHeads * headDim * capacity)
  }

  /**
   * Puts M positions in, from `start` on.
   *
   * @param k float32 [M, kvHeads, headDim], rotated
   * @param v float32 [M, kvHeads, headDim]
   */
  store(k: Float32Array, v: Float32Array, start: number): void {
    const { kvHeads, headDim, capacity } = this
    for (let at = 0, position = start; at < k.length; position++) {
      for (let g = 0; g < kvHeads; g++, at += headDim) {
        this.keys.set(k.subarray(at, at + headDim), (g * capacity + position) * headDim)
        for (let i = 0; i < headDim; i++) {
          this.values[(g * headDim + i) * capacity + position] = v[at + i]
        }
      }
    }
  }
}

import type { Shape } from '../../dist/bench/runner.js'

/** A runtime that runs Linear layers. */
export interface Contender {
  readonly name: string
  readonly version: string
  /**
   * Loads layers of one shape, too many for any cache.
   *
   * @param first int8 [N, K], weights of the first layer, of as many bits as the contender has; those of the others are
   *   random
   */
  load(shape: Shape, first: Int8Array): Promise<Layers>
  /** Prepares one call of one Linear that a server would await, with rows float32 [M, K]. */
  awaited?(shape: Shape, x: Float32Array): Promise<AwaitedCall>
}

export interface AwaitedCall {
  readonly name: string
  readonly run: () => Promise<unknown>
}

/** A contender's layers of one shape; they take turns. */
export interface Layers {
  /** Prepares for the rows x, float32 [M, K]; returns the ways to run them through a layer. */
  take(x: Float32Array): Promise<Way[]>
  close(): Promise<void>
}

/** One way to run Linears. */
export interface Way {
  readonly name: string
  /** The fastest of several operators, where there is a choice. */
  readonly operator?: string
  /** Calls layer after layer for a while; returns durations of a layer, microseconds. */
  sample(): Promise<number[]>
  /** float32 [N]: the first layer's result for the last row. */
  lastRow(): Promise<Float32Array>
}

/** The scale of every weight. */
export const WEIGHT_SCALE = 1 / 127

/** Budget of one sample: dozens of short calls or one long one, after an untimed call. */
export const BUDGET = { millis: 25, calls: 1 }

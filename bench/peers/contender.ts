import type { Shape } from '../../dist/bench/runner.js'

/** Somebody who runs Linear layers. */
export interface Contender {
  readonly name: string
  readonly version: string
  /**
   * Loads layers of one shape, so many that no cache holds their weights.
   *
   * @param first int8 [N, K], weights of the first layer; those of the others are random
   */
  load(shape: Shape, first: Int8Array): Promise<Layers>
  /** Makes ready for one call of one Linear that a server would await, with rows float32 [M, K]. */
  awaited?(shape: Shape, x: Float32Array): Promise<AwaitedCall>
}

export interface AwaitedCall {
  readonly name: string
  readonly run: () => Promise<unknown>
}

/** A contender's layers of one shape; they take turns. */
export interface Layers {
  /** Makes ready for the rows x, float32 [M, K]; gives the ways in which they can go through a layer. */
  take(x: Float32Array): Promise<Way[]>
  close(): Promise<void>
}

/** A way to run Linears. */
export interface Way {
  readonly name: string
  /** Which of several operators was the fastest, where there is a choice. */
  readonly operator?: string
  /** Calls layer after layer for a while; durations of a layer, microseconds. */
  sample(): Promise<number[]>
  /** float32 [N]: what the first layer makes of the last row. */
  lastRow(): Promise<Float32Array>
}

/** What every weight is multiplied by. */
export const WEIGHT_SCALE = 1 / 127

/** Of one sample: dozens of short calls, one long one, after one that is not timed. */
export const BUDGET = { millis: 25, calls: 1 }

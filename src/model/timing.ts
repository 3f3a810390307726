import { Linear } from '../ops/linear.js'
import type { Projection } from './projection.js'

/** Time in the Linears of one dtype, and what they read. */
export interface LinearTiming {
  microseconds: number
  /** Each weight byte counts once per forward, however many rows it serves. */
  weightBytes: number
}

/** Where a model's time went since the last {@link reset}. Wall time: forwards at once count twice. */
export class Timing {
  forwards = 0
  /** Ids that went through, over all forwards. */
  ids = 0
  /** In forwards altogether. */
  microseconds = 0
  /** In Linears on the pool. */
  readonly int8: LinearTiming = { microseconds: 0, weightBytes: 0 }
  /** In Linears that stayed float32. */
  readonly float32: LinearTiming = { microseconds: 0, weightBytes: 0 }

  reset(): void {
    this.forwards = this.ids = this.microseconds = 0
    this.int8.microseconds = this.int8.weightBytes = 0
    this.float32.microseconds = this.float32.weightBytes = 0
  }

  addForward(ids: number, microseconds: number): void {
    this.forwards++
    this.ids += ids
    this.microseconds += microseconds
  }

  addLinear(projection: Projection, microseconds: number): void {
    const int8 = projection instanceof Linear
    const share = int8 ? this.int8 : this.float32
    share.microseconds += microseconds
    share.weightBytes += projection.inFeatures * projection.outFeatures * (int8 ? 1 : 4)
  }
}

/** Microseconds since a fixed moment. */
export function now(): number {
  return performance.now() * 1000
}

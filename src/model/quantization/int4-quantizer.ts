import { OpKind } from '../../native/layout.js'
import type { DenseType } from '../../ops/dense-weight.js'
import type { WeightSource } from '../../ops/weight.js'
import { CallMemory } from '../../pool/memory.js'
import type { Pool } from '../../pool/pool.js'
import { runToEnd } from '../../pool/run-to-end.js'
import { ScriptEngine } from '../../pool/script.js'
import { type Int4Weight, int4Strides } from '../../reference/int4.js'
import { importanceOf } from '../../reference/int4-search.js'
import { notFinite, type WeightShape } from '../../reference/quantize.js'
import type { GroupedWeight } from '../grouped/grouped-weight.js'
import { int4Regrouping, type RegroupTask, regroupShare } from './int4-regroup.js'

/** How much of the source is quantised at a time, bytes. */
const CHUNK_BYTES = 4 << 20

/** Weights in four bits and their scales, where the pool's workers see them. */
export interface QuantizedInt4 extends Int4Weight {
  /** float32 [N] */
  readonly scale: Float32Array
}

/** Allocates for weights of this shape. */
function newInt4({ memory }: Pool, shape: WeightShape): QuantizedInt4 {
  const N = shape.outFeatures
  const stride = int4Strides(shape.inFeatures)
  return {
    nibbles: memory.bytes(N * stride.nibbles),
    multipliers: memory.array('int8', N * stride.multipliers),
    scale: memory.array('float32', N),
  }
}

/**
 * Quantises weights to four bits: floats by the pool, others in TypeScript on threads of its own, which start when they
 * are first needed, so that the event loop is free. Output channels are independent, so results do not depend on the
 * number of threads.
 */
export class Int4Quantizer {
  readonly #pool: Pool
  #engine: ScriptEngine | undefined

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /**
   * Quantises a weight while it is read.
   *
   * @param source float32 or bfloat16 bits
   * @param moments float64 [K], the mean squares of the inputs, up to a factor
   * @throws ArgumentError for a weight that is not finite; the signal's reason, WorkerDiedError; what the source throws
   */
  async quantize(
    source: WeightSource,
    shape: WeightShape,
    moments?: Float64Array | undefined,
    signal?: AbortSignal | undefined,
  ): Promise<QuantizedInt4> {
    const { inFeatures: k } = shape
    const { memory } = this.#pool
    const importance = importanceOf(k, moments)
    return await this.#runChunks(source.bytesPerElement, shape, async (first, quantized) => {
      const n = quantized.scale.length
      const rows = (await source.read(first, first + n)) as Float32Array | Uint16Array
      const wType = rows instanceof Float32Array ? 'float32' : 'bfloat16'
      const call = new CallMemory(memory)
      const w = call.place<DenseType>(wType, rows)
      const op = {
        kind: OpKind.searchS4,
        w,
        wType,
        stride: k,
        importance: call.place('float32', importance),
        ...quantized,
        n,
        k,
      } as const
      try {
        return await runToEnd(this.#pool, [op], signal)
      } finally {
        call.release()
      }
    })
  }

  /**
   * Gives integer multipliers to a weight in four bits with float scales, while it is read: keeps its levels where only
   * scales have to be rounded, as far as that errs less than quantising its floats does.
   *
   * @throws ArgumentError for a scale that is not finite; else as {@link quantize}
   */
  async regroup(
    weight: GroupedWeight,
    shape: WeightShape,
    signal?: AbortSignal | undefined,
  ): Promise<QuantizedInt4> {
    return await this.#runChunks(1, shape, async (first, quantized) => {
      const rows = await weight.read(first, first + quantized.scale.length)
      const args = { ...rows, ...quantized, groupOf: weight.groupOf } satisfies Partial<RegroupTask>
      this.#engine ??= new ScriptEngine(this.#pool.threads)
      const task = { module: int4Regrouping, run: regroupShare, args }
      return await this.#engine.runTasks(() => [task], signal)
    })
  }

  /**
   * Quantises some channels after the others, each time as many as a chunk may have.
   *
   * @param run quantises channels from the first on; returns 0, or 1 + one that is not finite
   */
  async #runChunks(
    bytesPerElement: number,
    shape: WeightShape,
    run: (first: number, quantized: QuantizedInt4) => Promise<number>,
  ): Promise<QuantizedInt4> {
    const { inFeatures: K, outFeatures: N } = shape
    const quantized = newInt4(this.#pool, shape)
    const stride = int4Strides(K)
    const rows = Math.max(1, Math.floor(CHUNK_BYTES / (K * bytesPerElement)))
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const fault = await run(first, {
        nibbles: quantized.nibbles.subarray(first * stride.nibbles, last * stride.nibbles),
        multipliers: quantized.multipliers.subarray(
          first * stride.multipliers,
          last * stride.multipliers,
        ),
        scale: quantized.scale.subarray(first, last),
      })
      if (fault > 0) throw notFinite('weight', first + fault - 1)
    }
    return quantized
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.close()
  }
}

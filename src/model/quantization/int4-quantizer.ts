import type { WeightSource } from '../../ops/weight.js'
import { ScriptEngine, type Task } from '../../pool/script.js'
import { type Int4Weight, int4Strides } from '../../reference/int4.js'
import { notFinite, type WeightShape } from '../../reference/quantize.js'
import type { GroupedWeight } from '../grouped/grouped-weight.js'
import { int4Regrouping, type RegroupTask, regroupShare } from './int4-regroup.js'
import { type Int4Task, int4Quantizing, quantizeInt4Share } from './int4-share.js'

/** How much of the source one task quantises, bytes. */
const CHUNK_BYTES = 4 << 20

/** Weights in four bits and their scales, in shared memory. */
export interface QuantizedInt4 extends Int4Weight {
  /** float32 [N] */
  readonly scale: Float32Array
}

/** Allocates for weights of this shape. */
export function newInt4(shape: WeightShape): QuantizedInt4 {
  const N = shape.outFeatures
  const stride = int4Strides(shape.inFeatures)
  return {
    nibbles: new Uint8Array(new SharedArrayBuffer(N * stride.nibbles)),
    multipliers: new Int8Array(new SharedArrayBuffer(N * stride.multipliers)),
    scale: new Float32Array(new SharedArrayBuffer(4 * N)),
  }
}

/**
 * Quantises weights to four bits, in TypeScript on threads of its own, while the event loop is free. Output channels are
 * independent, so results do not depend on the number of threads, which start when they are first needed.
 */
export class Int4Quantizer {
  readonly #threads: number
  #engine: ScriptEngine | undefined

  constructor(threads: number) {
    this.#threads = threads
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
    const { inFeatures: K } = shape
    const argsOf = async (first: number, last: number) => {
      const weight = (await source.read(first, last)) as Float32Array | Uint16Array
      return { weight, stride: K, inFeatures: K, moments } satisfies Partial<Int4Task>
    }
    const task = { module: int4Quantizing, run: quantizeInt4Share }
    return await this.#runChunks(task, argsOf, source.bytesPerElement, shape, signal)
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
    const argsOf = async (first: number, last: number) => {
      const rows = await weight.read(first, last)
      return { ...rows, groupOf: weight.groupOf } satisfies Partial<RegroupTask>
    }
    return await this.#runChunks(
      { module: int4Regrouping, run: regroupShare },
      argsOf,
      1,
      shape,
      signal,
    )
  }

  /** Runs a task on some channels after the others, each as large as a chunk may be. */
  async #runChunks(
    task: Omit<Task, 'args'>,
    argsOf: (first: number, last: number) => Promise<object>,
    bytesPerElement: number,
    shape: WeightShape,
    signal: AbortSignal | undefined,
  ): Promise<QuantizedInt4> {
    const { inFeatures: K, outFeatures: N } = shape
    const quantized = newInt4(shape)
    const stride = int4Strides(K)
    const rows = Math.max(1, Math.floor(CHUNK_BYTES / (K * bytesPerElement)))
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const args = {
        ...(await argsOf(first, last)),
        nibbles: quantized.nibbles.subarray(first * stride.nibbles, last * stride.nibbles),
        multipliers: quantized.multipliers.subarray(
          first * stride.multipliers,
          last * stride.multipliers,
        ),
        scale: quantized.scale.subarray(first, last),
      }
      this.#engine ??= new ScriptEngine(this.#threads)
      const fault = await this.#engine.runTasks(() => [{ ...task, args }], signal)
      if (fault > 0) throw notFinite('weight', first + fault - 1)
    }
    return quantized
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.close()
  }
}

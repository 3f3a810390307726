import type { WeightSource } from '../../ops/weight.js'
import { ScriptEngine } from '../../pool/script.js'
import { type Int4Weight, int4Strides } from '../../reference/int4.js'
import { notFinite, type WeightShape } from '../../reference/quantize.js'
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
    const { inFeatures: K, outFeatures: N } = shape
    const quantized = newInt4(shape)
    const stride = int4Strides(K)
    const rows = Math.max(1, Math.floor(CHUNK_BYTES / (K * source.bytesPerElement)))
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const weight = (await source.read(first, last)) as Float32Array | Uint16Array
      const args = {
        weight,
        stride: K,
        inFeatures: K,
        moments,
        nibbles: quantized.nibbles.subarray(first * stride.nibbles, last * stride.nibbles),
        multipliers: quantized.multipliers.subarray(
          first * stride.multipliers,
          last * stride.multipliers,
        ),
        scale: quantized.scale.subarray(first, last),
      } satisfies Partial<Int4Task>
      const task = { module: int4Quantizing, run: quantizeInt4Share, args }
      this.#engine ??= new ScriptEngine(this.#threads)
      const fault = await this.#engine.runTasks(() => [task], signal)
      if (fault > 0) throw notFinite('weight', first + fault - 1)
    }
    return quantized
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.close()
  }
}

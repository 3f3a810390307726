import type { DenseWeight } from '../../ops/dense-weight.js'
import { ScriptEngine, type Task } from '../../pool/script.js'
import { notFinite } from '../../reference/quantize.js'
import { denseStride } from '../../reference/sum16.js'
import { newInt4, type QuantizedInt4 } from '../quantization/int4-quantizer.js'
import {
  compensatedRounding,
  type Factor,
  type FactorTask,
  factorShare,
  type RoundTask,
  roundShare,
} from './compensated-rounding.js'
import type { Hessian } from './hessian.js'

/** int8 [N, K] and float32 [N], in shared memory. */
export interface RoundedWeight {
  readonly q: Int8Array
  readonly scale: Float32Array
}

/**
 * Rounds weights with error compensation, in TypeScript on threads of its own: seconds of work, during which the event
 * loop is free. Output channels are independent, so results do not depend on the number of threads.
 */
export class Solver {
  readonly #engine: ScriptEngine

  constructor(threads: number) {
    this.#engine = new ScriptEngine(threads)
  }

  /** @throws the signal's reason, WorkerDiedError */
  async factor({ inFeatures: K, sums }: Hessian, signal?: AbortSignal): Promise<Factor> {
    const factor: Factor = {
      r: new Float64Array(new SharedArrayBuffer(8 * K * K)),
      d: new Float64Array(new SharedArrayBuffer(8 * K)),
      order: new Uint32Array(new SharedArrayBuffer(4 * K)),
      moments: new Float64Array(new SharedArrayBuffer(8 * K)),
    }
    const args = { hessian: sums, factor } satisfies Partial<FactorTask>
    await this.#run({ module: compensatedRounding, run: factorShare, args }, signal)
    return factor
  }

  /**
   * @param weight [N, K]
   * @param factor of the Hessian of its inputs
   * @throws ArgumentError for a weight that is not finite; the signal's reason, WorkerDiedError
   */
  async round(weight: DenseWeight, factor: Factor, signal?: AbortSignal): Promise<RoundedWeight> {
    const { inFeatures: K, outFeatures: N } = weight
    const q = new Int8Array(new SharedArrayBuffer(N * K))
    const scale = new Float32Array(new SharedArrayBuffer(4 * N))
    await this.#round(weight, { factor, q, scale }, signal)
    return { q, scale }
  }

  /** The same, to four bits. */
  async roundInt4(
    weight: DenseWeight,
    factor: Factor,
    signal?: AbortSignal,
  ): Promise<QuantizedInt4> {
    const { scale, ...q } = newInt4(weight)
    await this.#round(weight, { factor, q, scale }, signal)
    return { ...q, scale }
  }

  async #round(
    { inFeatures, data }: DenseWeight,
    task: Pick<RoundTask, 'factor' | 'q' | 'scale'>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const stride = denseStride(inFeatures)
    const args = { ...task, weight: data, stride } satisfies Partial<RoundTask>
    const fault = await this.#run({ module: compensatedRounding, run: roundShare, args }, signal)
    if (fault > 0) throw notFinite('weight', fault - 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.close()
  }

  #run(task: Task, signal: AbortSignal | undefined): Promise<number> {
    return this.#engine.runTasks(() => [task], signal)
  }
}

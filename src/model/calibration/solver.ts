import { OpKind } from '../../native/layout.js'
import type { DenseWeight } from '../../ops/dense-weight.js'
import { viewAs } from '../../pool/memory.js'
import type { Pool } from '../../pool/pool.js'
import { runToEnd } from '../../pool/run-to-end.js'
import { ScriptEngine, type Task } from '../../pool/script.js'
import { int4Strides } from '../../reference/int4.js'
import { notFinite } from '../../reference/quantize.js'
import type { Share } from '../../reference/share.js'
import { denseStride } from '../../reference/sum16.js'
import { arrayOf, type TensorData } from '../../tensor.js'
import type { QuantizedInt4 } from '../quantization/int4-quantizer.js'
import {
  type BlockTask,
  type Channels,
  type ChannelsTask,
  chooseShare,
  compensatedRounding,
  plainErrorsShare,
  plainLossShare,
  type Rounded,
  roundBlockShare,
  type StepsTask,
  stepsShare,
} from './compensated-rounding.js'
import {
  BLOCK,
  type Factor,
  factoring,
  type PanelTask,
  panelShare,
  type SortTask,
  type SubtractTask,
  sortInputs,
  sortShare,
  subtractShare,
} from './factor.js'
import type { Hessian } from './hessian.js'

/** int8 [N, K] and float32 [N], in shared memory. */
export interface RoundedWeight {
  readonly q: Int8Array
  readonly scale: Float32Array
}

/** Weights that are rounded together, and elements of a product that are taken off a matrix together. */
const PIECE = 1 << 22

/** Rows of a product of which only the part right of the diagonal is needed. */
const ROWS = 512

type Scratch = 'float32' | 'int8'

/**
 * Rounds weights with error compensation: the pool multiplies matrices, and threads of its own do the rest in TypeScript,
 * so that the event loop is free. Output channels are independent, and a product has the same bits at every number of
 * threads, so results do not depend on it.
 */
export class Solver {
  readonly #pool: Pool
  readonly #engine: ScriptEngine
  /** Memory of one call, kept for the next. */
  readonly #scratch = new Map<string, Uint8Array<SharedArrayBuffer>>()

  constructor(pool: Pool) {
    this.#pool = pool
    this.#engine = new ScriptEngine(pool.threads)
  }

  /**
   * @param hessian `sums` are H[i, j] for j >= i
   * @returns good until the next call
   * @throws the signal's reason, WorkerDiedError, OutOfMemoryError
   */
  async factor(
    { inFeatures: K, sums }: Pick<Hessian, 'inFeatures' | 'sums'>,
    signal?: AbortSignal,
  ): Promise<Factor> {
    const stride = denseStride(K)
    const factor: Factor = {
      far: this.#array('float32', 'far', K * stride).fill(0),
      near: this.#array('float32', 'near', K * BLOCK),
      d: new Float64Array(new SharedArrayBuffer(8 * K)),
      order: new Uint32Array(new SharedArrayBuffer(4 * K)),
      moments: new Float64Array(new SharedArrayBuffer(8 * K)),
    }
    const a = this.#float64('a', K * K)
    const damping = sortInputs(sums, factor)
    const { order } = factor
    await this.#run(
      factorTask(sortShare, { hessian: sums, order, damping, a } satisfies Args<SortTask>),
      signal,
    )
    const columns = this.#array('float32', 'columns', K * BLOCK)
    const scaledColumns = this.#array('float32', 'scaledColumns', K * BLOCK)
    for (let first = 0; first < K; first += BLOCK) {
      const args = { a, factor, first, columns, scaledColumns } satisfies Args<PanelTask>
      await this.#run(factorTask(panelShare, args), signal)
      const last = first + BLOCK
      for (let row = last; row < K; row += ROWS) {
        const rows = Math.min(ROWS, K - row)
        const products = this.#array('float32', 'products', rows * (K - row))
        const from = (row - last) * BLOCK
        await this.#multiply(columns.subarray(from, from + rows * BLOCK), rows, BLOCK, {
          weight: scaledColumns.subarray(from),
          outFeatures: K - row,
          y: products,
          signal,
        })
        const args = { a, size: K, first: row, rows, products } satisfies Args<SubtractTask>
        await this.#run(factorTask(subtractShare, args), signal)
      }
    }
    return factor
  }

  /**
   * @param weight [N, K]
   * @param factor of the Hessian of its inputs
   * @throws ArgumentError for a weight that is not finite; the signal's reason, WorkerDiedError, OutOfMemoryError
   */
  async round(weight: DenseWeight, factor: Factor, signal?: AbortSignal): Promise<RoundedWeight> {
    const { inFeatures: K, outFeatures: N } = weight
    const q = new Int8Array(new SharedArrayBuffer(N * K))
    const scale = new Float32Array(new SharedArrayBuffer(4 * N))
    await this.#round(weight, factor, { q, scale }, signal)
    return { q, scale }
  }

  /**
   * The same, to four bits.
   *
   * @param steps multipliers and scales that were searched for these weights
   */
  async roundInt4(
    weight: DenseWeight,
    factor: Factor,
    { multipliers, scale }: Int4Steps,
    signal?: AbortSignal,
  ): Promise<QuantizedInt4> {
    const size = weight.outFeatures * int4Strides(weight.inFeatures).nibbles
    const q = { nibbles: this.#pool.memory.bytes(size), multipliers }
    await this.#round(weight, factor, { q, scale }, signal)
    return { ...q, scale }
  }

  async #round(
    { inFeatures: K, outFeatures: N, data: weight }: DenseWeight,
    factor: Factor,
    rounded: Rounded,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const piece = Math.min(N, Math.max(1, Math.floor(PIECE / K)))
    const channels: Channels = {
      weights: this.#array('float32', 'weights', piece * K),
      steps: this.#array('float32', 'steps', piece * K),
      levels: this.#array('int8', 'levels', piece * K),
      errors: this.#array('float32', 'errors', piece * K),
      sums: this.#array('float32', 'sums', piece * BLOCK),
      losses: this.#float64('losses', piece),
      plainLosses: this.#float64('plainLosses', piece),
    }
    for (let first = 0; first < N; first += piece) {
      const count = Math.min(piece, N - first)
      const args = { factor, channels, rounded, first, count }
      const source = { weight, stride: denseStride(K) }
      const task = roundTask(stepsShare, { ...args, ...source } satisfies Args<StepsTask>)
      const fault = await this.#run(task, signal)
      if (fault > 0) throw notFinite('weight', fault - 1)
      await this.#roundChannels(args, signal)
    }
  }

  async #roundChannels(args: Args<ChannelsTask>, signal: AbortSignal | undefined): Promise<void> {
    const { errors, losses, plainLosses } = args.channels
    losses.fill(0)
    plainLosses.fill(0)
    const K = args.factor.d.length
    // errors of blocks that are not rounded yet are multiplied with zeros
    errors.fill(0)
    const blocks = Array.from({ length: Math.ceil(K / BLOCK) }, (_, i) => i * BLOCK).reverse()
    for (const block of blocks) await this.#runBlock(roundBlockShare, args, block, signal)
    await this.#run(roundTask(plainErrorsShare, args), signal)
    for (const block of blocks) {
      await this.#runBlock(plainLossShare, args, block, signal)
      // losses never fall
      const areAllWorse = plainLosses.every((loss, c) => c >= args.count || loss >= losses[c])
      if (areAllWorse) break
    }
    await this.#run(roundTask(chooseShare, args), signal)
  }

  /** Runs a task for a block of inputs, which finds the sums over the blocks behind it. */
  async #runBlock(
    run: (task: BlockTask) => number,
    args: Args<ChannelsTask>,
    block: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { factor, channels, count } = args
    const K = factor.d.length
    if (block + BLOCK < K) {
      const stride = denseStride(K)
      await this.#multiply(channels.errors, count, K, {
        weight: factor.far.subarray(block * stride, (block + BLOCK) * stride),
        outFeatures: BLOCK,
        y: channels.sums,
        signal,
      })
    }
    await this.#run(roundTask(run, { ...args, block } satisfies Args<BlockTask>), signal)
  }

  /** y[rows, outFeatures] = x[rows, inFeatures] weight^T, the weight's rows padded to 16 elements. */
  async #multiply(
    x: Float32Array,
    rows: number,
    inFeatures: number,
    product: {
      weight: Float32Array
      outFeatures: number
      y: Float32Array
      signal: AbortSignal | undefined
    },
  ): Promise<void> {
    const { weight: data, outFeatures, y, signal } = product
    const address = this.#pool.addressOf(data)
    const bias = { bias: undefined, biasAddress: 0 }
    const weight = { type: 'float32', inFeatures, outFeatures, data, address, ...bias } as const
    await runToEnd(this.#pool, [{ kind: OpKind.dense, m: rows, x, weight, y }], signal)
  }

  /** Memory for a purpose, with arbitrary content, which was another call's before. */
  #array<T extends Scratch>(type: T, purpose: string, length: number): TensorData[T] {
    return viewAs(type, this.#bytes(purpose, length * arrayOf[type].BYTES_PER_ELEMENT), length)
  }

  #float64(purpose: string, length: number): Float64Array {
    const { buffer, byteOffset } = this.#bytes(purpose, 8 * length)
    return new Float64Array(buffer, byteOffset, length)
  }

  #bytes(purpose: string, byteLength: number): Uint8Array<SharedArrayBuffer> {
    const old = this.#scratch.get(purpose)
    if (old !== undefined && old.byteLength >= byteLength) return old
    const bytes = this.#pool.memory.bytes(byteLength)
    this.#scratch.set(purpose, bytes)
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.close()
  }

  #run(task: Task, signal: AbortSignal | undefined): Promise<number> {
    return this.#engine.runTasks(() => [task], signal)
  }
}

/** Multipliers and scales of weights in four bits, where the pool's workers see them. */
export type Int4Steps = Pick<QuantizedInt4, 'multipliers' | 'scale'>

/** What a task is given besides its share. */
type Args<T extends Share> = Omit<T, keyof Share>

function factorTask<T extends Share>(run: (task: T) => number, args: Args<T>): Task {
  return { module: factoring, run, args }
}

function roundTask<T extends Share>(run: (task: T) => number, args: Args<T>): Task {
  return { module: compensatedRounding, run, args }
}

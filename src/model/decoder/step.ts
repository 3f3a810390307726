import { InternalError } from '../../errors.js'
import { type CacheType, PAGE } from '../../layouts/kv-page.js'
import { BAD_ROW } from '../../native/layout.js'
import type { OpList } from '../../pool/op-list.js'
import type { Pool } from '../../pool/pool.js'
import type { Program } from '../../pool/program.js'
import { AttentionTable } from './attention-table.js'
import { Batch } from './batch.js'
import { type Extent, writeForward } from './forward.js'
import type { Network } from './network.js'
import { OpWriter, type StepKind } from './op-writer.js'
import type { Output } from './request.js'
import { Rotations } from './rotations.js'
import { Workspace } from './workspace.js'

/** Ops, and on which rows each of them works. */
interface Compiled {
  list: OpList
  extents: readonly Extent[]
  /** What the ops read, so that it stays though the model is disposed of meanwhile. */
  weights: readonly object[]
}

/** What the steps of one model work with. One runs at a time, so that they share their activations. */
export interface StepContext {
  readonly pool: Pool
  readonly network: Network
  readonly cacheType: CacheType
  readonly workspace: Workspace
  readonly rotations: Rotations
}

/**
 * A batch's way through the network: one program for the whole pool, from ids to logits and what is
 * sampled from them. It begins when the program before it has ended.
 */
export class Step {
  readonly batch: Batch
  readonly #pool: Pool
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #rotations: Rotations
  readonly #attention: AttentionTable
  readonly #before: Batch
  readonly #compiled = new Map<string, Compiled>()
  #parts: Float32Array = new Float32Array(0)

  /** @param before the batch of the step before, from which rows may take the ids that it samples */
  constructor(context: StepContext, batch: Batch, before: Batch) {
    const { pool, network, cacheType, workspace, rotations } = context
    this.batch = batch
    this.#before = before
    this.#pool = pool
    this.#network = network
    this.#workspace = workspace
    this.#rotations = rotations
    this.#attention = new AttentionTable(pool, network, workspace, rotations.table, cacheType)
  }

  /** Memory that it shares with the model's other steps, bytes. */
  get sharedBytes(): number {
    return this.#workspace.byteLength
  }

  /** Whether a step may be queued behind one that runs. In TypeScript they take turns. */
  get canFollow(): boolean {
    return this.#pool.native !== null
  }

  /** Runs the batch through. Settles when no worker uses its memory any more. */
  async run(signal: AbortSignal): Promise<void> {
    const { batch } = this
    let last = 0
    for (let row = 0; row < batch.rows; row++) last = Math.max(last, batch.position(row))
    this.#rotations.fill(last + 1)
    const pages = Math.floor(last / PAGE) + 1
    const split = this.#split(pages)
    const hidden = batch.hidden > 0
    const kind = { oneRow: batch.rows === 1, oneOutput: batch.outputs === 1, hidden, split }
    await this.#run('step', kind, signal)
  }

  /**
   * Samples once more.
   *
   * @param logits float32 [outputs, vocabSize], of all outputs
   */
  async sampleAgain(logits: Float32Array, signal: AbortSignal): Promise<void> {
    this.#workspace.logits.set(logits)
    const kind = { oneRow: false, oneOutput: false, hidden: false, split: false }
    await this.#run('samples', kind, signal)
  }

  /** What has become of a row, by its number among those that are used alike. */
  output(index: number): Output {
    const { batch } = this
    const { logits } = this.#workspace
    const { vocabSize, hiddenSize } = this.#network.config
    const rowOf = (matrix: Float32Array, size: number) =>
      matrix.subarray(index * size, (index + 1) * size)
    return {
      samples: batch.samples,
      index,
      get logits() {
        return rowOf(logits, vocabSize)
      },
      get hidden() {
        return rowOf(batch.hiddenStates, hiddenSize)
      },
    }
  }

  /** A copy of the logits of all outputs, float32 [outputs, vocabSize]. */
  copyLogits(): Float32Array {
    return this.#workspace.logits.slice(0, this.batch.outputs * this.#network.config.vocabSize)
  }

  /** Lets go of compiled ops and of what they read: linears were replaced, or disposed of. */
  recompile(): void {
    this.#compiled.clear()
  }

  /** Splits attention over so many pages where rows and heads alone are too few pieces of work. */
  #split(pages: number): boolean {
    const { numKeyValueHeads, numAttentionHeads, headDim } = this.#network.config
    const { rows } = this.batch
    const isFew = pages > 1 && rows * numKeyValueHeads < 2 * this.#pool.threads
    if (isFew) {
      const size = rows * numAttentionHeads * pages * (2 + headDim)
      if (this.#parts.length < size) this.#parts = this.#pool.memory.array('float32', 2 * size)
    }
    this.#attention.split(isFew ? this.#pool.addressOf(this.#parts) : 0, pages)
    return isFew
  }

  async #run(what: 'step' | 'samples', kind: StepKind, signal: AbortSignal): Promise<void> {
    // held until no worker reads what it names
    let compiled: Compiled | undefined
    let release = () => {}
    const idle = new Promise<void>((resolve) => {
      release = resolve
    })
    const program: Program = {
      ops: () => {
        compiled = this.#opsOf(what, kind)
        return compiled.list
      },
      release: () => {
        compiled = undefined
        release()
      },
    }
    const [outcome] = await Promise.allSettled([this.#pool.run(program, signal), idle])
    if (outcome.status === 'rejected') throw outcome.reason
    checkRows(outcome.value)
  }

  /** The ops, made when they are first asked for, set to the batch's rows. */
  #opsOf(what: 'step' | 'samples', kind: StepKind): Compiled {
    const key = JSON.stringify([what, kind])
    let compiled = this.#compiled.get(key)
    if (compiled === undefined) {
      compiled = this.#compile(what, kind)
      this.#compiled.set(key, compiled)
    }
    const { list, extents } = compiled
    extents.forEach((extent, i) => {
      list.setRows(i, this.batch[extent])
    })
    return compiled
  }

  #compile(what: 'step' | 'samples', kind: StepKind): Compiled {
    const writer = new OpWriter(
      this.#network,
      this.#workspace,
      this.batch,
      this.#before,
      this.#attention,
      kind,
    )
    if (what === 'step') writeForward(this.#network.config, this.#workspace, writer)
    else writer.sample()
    const weights = [...this.#network.linears.values()].map(({ weight }) => weight)
    return { list: this.#pool.opList(writer.ops), extents: writer.extents, weights }
  }
}

/**
 * @param fault what a program found wrong; samples tell of theirs
 * @throws InternalError if a row named what is not there
 */
export function checkRows(fault: number): void {
  if (fault < BAD_ROW) return
  throw new InternalError(
    `row ${fault - BAD_ROW} of a step names a token, position or page that is not there`,
  )
}

/**
 * The steps of a model: three, because while one runs and the next is queued behind it, the batch of the
 * one before must stay as it is, for ids are read from it.
 *
 * @param maxContext positions that a sequence may have
 */
export function makeSteps(
  pool: Pool,
  network: Network,
  cacheType: CacheType,
  maxContext: number,
): Step[] {
  const context = makeContext(pool, network, cacheType, maxContext)
  const { maxRows, maxOutputs } = context.workspace
  const { hiddenSize } = network.config
  const batches = [0, 1, 2].map(() => new Batch(pool, maxRows, maxOutputs, hiddenSize))
  return batches.map((batch, i) => new Step(context, batch, batches[(i + 2) % 3]))
}

/** @param maxContext positions that a sequence may have */
export function makeContext(
  pool: Pool,
  network: Network,
  cacheType: CacheType,
  maxContext: number,
): StepContext {
  const workspace = new Workspace(pool, network.config)
  const rotations = new Rotations(pool.memory, network.config, maxContext)
  return { pool, network, cacheType, workspace, rotations }
}

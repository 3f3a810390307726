import { sharedArray } from '../../pool/memory.js'
import type { OpList } from '../../pool/op-list.js'
import type { Pool } from '../../pool/pool.js'
import type { Program, ScriptOp } from '../../pool/program.js'
import type { CacheType } from '../../ops/kv-page.js'
import { PAGE } from '../../ops/kv-page.js'
import { AttentionTable } from './attention-table.js'
import { Batch } from './batch.js'
import type { Network } from './network.js'
import { Rotations } from './rotations.js'
import { type StepKind, type StepOp, StepOps } from './step-ops.js'
import { Workspace } from './workspace.js'

/** A list of ops for C, and which of them work on how many rows. */
interface Compiled {
  list: OpList
  ops: StepOp[]
}

/**
 * A batch's way through the network: one program for the whole pool, from ids to logits and what is
 * picked from them.
 */
export class Step {
  readonly batch: Batch
  readonly #pool: Pool
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #rotations: Rotations
  readonly #attention: AttentionTable
  readonly #compiled = new Map<string, Compiled>()
  #parts = new Float32Array(0)

  /** @param maxContext positions that a sequence may have */
  constructor(pool: Pool, network: Network, cacheType: CacheType, maxContext: number) {
    this.#pool = pool
    this.#network = network
    this.#workspace = new Workspace(pool, network.config)
    const { maxRows, maxOutputs } = this.#workspace
    this.batch = new Batch(pool, maxRows, maxOutputs)
    this.#rotations = new Rotations(network.config, maxContext)
    const { table } = this.#rotations
    this.#attention = new AttentionTable(pool, network, this.#workspace, table, cacheType)
  }

  /** Runs the batch through. Settles when no worker uses its memory any more. */
  async run(signal: AbortSignal): Promise<void> {
    const { batch } = this
    let last = 0
    for (let row = 0; row < batch.rows; row++) last = Math.max(last, batch.position(row))
    this.#rotations.fill(last + 1)
    const pages = Math.floor(last / PAGE) + 1
    const split = this.#split(pages)
    const kind = { oneRow: batch.rows === 1, oneOutput: batch.outputs === 1, split }
    await this.#run('step', kind, (ops) => ops.all(), signal)
  }

  /** Picks once more from the logits that are there. */
  async pickAgain(signal: AbortSignal): Promise<void> {
    const kind = { oneRow: false, oneOutput: false, split: false }
    await this.#run('picks', kind, (ops) => ops.picks(), signal)
  }

  /** The logits of an output, float32 [vocabSize]; good until the next run. */
  logits(output: number): Float32Array {
    const { vocabSize } = this.#network.config
    return this.#workspace.logits.subarray(output * vocabSize, (output + 1) * vocabSize)
  }

  /** Projections were replaced. */
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
      if (this.#parts.length < size) this.#parts = sharedArray('float32', 2 * size)
    }
    this.#attention.split(isFew ? this.#pool.addressOf(this.#parts) : 0, pages)
    return isFew
  }

  async #run(
    name: string,
    kind: StepKind,
    build: (ops: StepOps) => StepOp[],
    signal: AbortSignal,
  ): Promise<void> {
    let release = () => {}
    const idle = new Promise<void>((resolve) => {
      release = resolve
    })
    const program: Program = {
      native: () => this.#list(name, kind, build),
      script: () => this.#script(name),
      release,
    }
    const [outcome] = await Promise.allSettled([this.#pool.run(program, signal), idle])
    if (outcome.status === 'rejected') throw outcome.reason
  }

  /** The ops for C, made when first asked for, with the batch's number of rows. */
  #list(name: string, kind: StepKind, build: (ops: StepOps) => StepOp[]): OpList {
    const key = JSON.stringify([name, kind])
    let compiled = this.#compiled.get(key)
    if (compiled === undefined) {
      const ops = build(this.#ops(kind))
      const list = this.#pool.opList(ops.map(({ op }) => op))
      compiled = { list, ops }
      this.#compiled.set(key, compiled)
    }
    const { list, ops } = compiled
    for (let i = 0; i < ops.length; i++) list.setRows(i, this.batch[ops[i].extent])
    return list
  }

  #ops(kind: StepKind): StepOps {
    const { batch } = this
    return new StepOps(this.#pool, this.#network, this.#workspace, batch, this.#attention, kind)
  }
}

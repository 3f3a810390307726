import { PAGE } from '../../layouts/kv-page.js'
import type { Op } from '../../native/op.js'
import { runToEnd } from '../../pool/run-to-end.js'
import { AttentionTable } from './attention-table.js'
import { Batch } from './batch.js'
import { type Source, writeForward } from './forward.js'
import type { ModelLinear } from './model-linear.js'
import type { Network } from './network.js'
import { OpWriter } from './op-writer.js'
import type { Sequence } from './sequence.js'
import { checkRows, type StepContext } from './step.js'
import type { TracedWindow } from './trace.js'
import type { Workspace } from './workspace.js'

/** A run of a text that has come to a block of layers, and may go on in several ways. */
export interface Fork {
  /** Names of the block's Linears. */
  readonly names: readonly string[]
  /**
   * Runs the block and all that follow, with another Linear in place of one of the block's.
   *
   * @returns logits of all tokens, float32 [tokens, vocabSize], good until the next run
   */
  run(exchanged?: Exchanged): Promise<Float32Array>
}

/** A Linear in place of the one of the same name. */
export interface Exchanged {
  readonly name: string
  readonly linear: ModelLinear
}

/**
 * Runs a text through a network block by block, and shows where it could go on with other Linears: what lies before a
 * Linear is not computed again for it. Every token is an output.
 *
 * @param visit is awaited before the text enters the next block
 */
export async function runForks(
  context: StepContext,
  { sequence, tokens }: TracedWindow,
  visit: (fork: Fork) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const run = new ForkedRun(context, sequence, tokens, signal)
  sequence.enter()
  try {
    context.rotations.fill(tokens.length)
    for (let block = 0; block < run.blocks.length; block++) {
      await visit({
        names: run.blocks[block].names,
        run: (exchanged) => run.finish(block, exchanged),
      })
      if (block + 1 < run.blocks.length) await run.pass(block)
    }
  } finally {
    sequence.leave()
  }
}

class ForkedRun {
  readonly blocks: readonly Block[]
  readonly #context: StepContext
  readonly #batch: Batch
  readonly #attention: AttentionTable
  readonly #signal: AbortSignal | undefined
  /** The residual stream and what is to be added to it, where the block begins that the run has come to. */
  #residual = new Float32Array(0)
  #delta = new Float32Array(0)

  constructor(
    context: StepContext,
    sequence: Sequence,
    tokens: Uint32Array,
    signal: AbortSignal | undefined,
  ) {
    const { pool, network, workspace, rotations, cacheType } = context
    this.#context = context
    this.#signal = signal
    this.#batch = new Batch(pool, tokens.length, tokens.length, 0)
    for (const [position, token] of tokens.entries()) {
      this.#batch.addRow(token, position, sequence)
      this.#batch.addUse({ action: 'nothing' })
    }
    this.#attention = new AttentionTable(pool, network, workspace, rotations.table, cacheType)
    this.#attention.split(0, Math.ceil(tokens.length / PAGE))
    this.blocks = this.#write(network)
  }

  /** Runs from where the block begins to the end. */
  async finish(block: number, exchanged?: Exchanged): Promise<Float32Array> {
    const { network, workspace } = this.#context
    const linears = new Map(network.linears)
    if (exchanged !== undefined) linears.set(exchanged.name, exchanged.linear)
    this.#restore()
    await this.#run(this.#write({ ...network, linears }).slice(block))
    return workspace.logits.subarray(0, this.#batch.outputs * network.config.vocabSize)
  }

  /** Runs one block, from where it begins to where the next does. */
  async pass(block: number): Promise<void> {
    this.#restore()
    await this.#run([this.blocks[block]])
    const { residual, delta } = this.#context.workspace
    const size = this.#batch.rows * this.#context.network.config.hiddenSize
    this.#residual = residual.slice(0, size)
    this.#delta = delta.slice(0, size)
  }

  #restore(): void {
    this.#context.workspace.residual.set(this.#residual)
    this.#context.workspace.delta.set(this.#delta)
  }

  #write(network: Network): Block[] {
    const { workspace } = this.#context
    const writer = new BlockWriter(network, workspace, this.#batch, this.#attention)
    writeForward(network.config, workspace, writer)
    return writer.blocks()
  }

  async #run(blocks: readonly Block[]): Promise<void> {
    const { pool } = this.#context
    const ops = pool.opList(blocks.flatMap((block) => block.ops))
    checkRows(await runToEnd(pool, ops, this.#signal))
  }
}

/** What runs between two additions to the residual stream. */
interface Block {
  readonly ops: Op[]
  /** Of its Linears. */
  readonly names: string[]
}

/** Writes a step whose logits stay as they are, in blocks, for all rows of a batch. */
class BlockWriter extends OpWriter {
  /** Where each block begins, and the names of its Linears. */
  readonly #starts = [{ op: 0, names: [] as string[] }]
  readonly #batch: Batch

  constructor(network: Network, workspace: Workspace, batch: Batch, attention: AttentionTable) {
    const kind = { oneRow: false, oneOutput: false, hidden: false, split: false }
    super(network, workspace, batch, batch, attention, kind)
    this.#batch = batch
  }

  blocks(): Block[] {
    const ops = this.ops.map((op, i) => ({ ...op, m: this.#batch[this.extents[i]] }))
    return this.#starts.map(({ op, names }, block) => ({
      ops: ops.slice(op, this.#starts[block + 1]?.op),
      names,
    }))
  }

  override norm(
    name: string,
    adds: boolean,
    takers: readonly string[],
    extent: 'rows' | 'outputs',
  ): void {
    if (adds) this.#starts.push({ op: this.ops.length, names: [] })
    super.norm(name, adds, takers, extent)
  }

  override multiply(name: string, source: Source, y: Float32Array, together?: boolean): void {
    this.#starts.at(-1)?.names.push(name)
    super.multiply(name, source, y, together)
  }

  override sample(): void {}
}

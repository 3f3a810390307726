import { applyGate } from '../../ops/gate.js'
import { PAGE } from '../../ops/kv-page.js'
import type { Program } from '../../pool/program.js'
import { AttentionTable } from './attention-table.js'
import { Batch } from './batch.js'
import { type Source, type StepWriter, writeForward } from './forward.js'
import { NativeWriter } from './native-writer.js'
import type { Projection } from './projection.js'
import { ScriptWriter } from './script-writer.js'
import type { Sequence } from './sequence.js'
import { checkRows, type StepContext } from './step.js'

/** What went into a Linear, float32 [rows, inFeatures], and what came out, float32 [rows, outFeatures]. */
export interface LinearTrace {
  readonly name: string
  readonly x: Float32Array
  readonly y: Float32Array
}

/**
 * Runs tokens through a decoder and shows every Linear at work. The same arithmetic as a step's, but a
 * program for each op, and every token is an output.
 *
 * @param sequence a new one
 * @param tokens those that exceed the outputs of a step are left out
 * @param visit is awaited before the next Linear runs
 */
export async function trace(
  context: StepContext,
  sequence: Sequence,
  tokens: Uint32Array,
  visit: (linear: LinearTrace) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { pool, network, workspace, rotations } = context
  const rows = Math.min(tokens.length, workspace.maxOutputs)
  const batch = new Batch(pool, rows, 0)
  sequence.reserve(rows)
  for (let row = 0; row < rows; row++) batch.addRow(tokens[row], row, sequence)
  rotations.fill(rows)
  const writer = new TraceWriter(context, batch, visit, signal)
  writeForward(network.config, workspace, writer)
  sequence.enter()
  try {
    for (const action of writer.actions) await action()
  } finally {
    sequence.leave()
  }
}

/** Writes a step as actions: a Linear's call, or a program of the ops in between. */
class TraceWriter implements StepWriter {
  readonly actions: (() => Promise<void>)[] = []
  readonly #context: StepContext
  readonly #batch: Batch
  readonly #visit: (linear: LinearTrace) => Promise<void>
  readonly #signal: AbortSignal | undefined
  readonly #attention: AttentionTable

  constructor(
    context: StepContext,
    batch: Batch,
    visit: (linear: LinearTrace) => Promise<void>,
    signal: AbortSignal | undefined,
  ) {
    const { pool, network, workspace, rotations, cacheType } = context
    this.#context = context
    this.#batch = batch
    this.#visit = visit
    this.#signal = signal
    this.#attention = new AttentionTable(pool, network, workspace, rotations.table, cacheType)
    this.#attention.split(0, Math.ceil(batch.rows / PAGE))
  }

  embed(): void {
    this.#push((writer) => writer.embed())
  }

  norm(name: string, adds: boolean, takers: readonly string[]): void {
    this.#push((writer) => writer.norm(name, adds, takers, 'rows'))
  }

  multiply(name: string, source: Source, y: Float32Array): void {
    const { network, workspace } = this.#context
    this.actions.push(async () => {
      const projection = network.projections.get(name) as Projection
      const size = this.#batch.rows * projection.inFeatures
      const x = ('normed' in source ? workspace.normed : source.x).slice(0, size)
      if ('up' in source && source.up !== undefined) {
        applyGate('silu', x, source.up.slice(0, size), x)
      }
      const result = await projection.forward(x, { signal: this.#signal })
      y.set(result)
      await this.#visit({ name, x, y: result })
    })
  }

  attend(layer: number): void {
    this.#push((writer) => writer.attend(layer))
  }

  pick(): void {}

  #push(write: (writer: StepWriter) => void): void {
    this.actions.push(async () => {
      checkRows(await this.#context.pool.run(this.#program(write), this.#signal))
    })
  }

  #program(write: (writer: StepWriter) => void): Program {
    const { pool, network, workspace, rotations, cacheType } = this.#context
    const batch = this.#batch
    // where no Linear is int8, norms leave their rows as they are
    const floats = { ...network, projections: new Map() }
    return {
      native: () => {
        const kind = { oneRow: false, oneOutput: false, split: false }
        const attention = this.#attention
        const writer = new NativeWriter(pool, floats, workspace, batch, batch, attention, kind)
        write(writer)
        return writer.ops.map((op) => ({ ...op, m: batch.rows }))
      },
      script: () => {
        const writer = new ScriptWriter(network, workspace, batch, rotations.table, cacheType)
        write(writer)
        return writer.ops
      },
    }
  }
}

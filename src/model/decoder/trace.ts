import { PAGE } from '../../layouts/kv-page.js'
import { OpKind } from '../../native/layout.js'
import { FloatLinear } from '../../ops/float-linear.js'
import type { Program } from '../../pool/program.js'
import { AttentionTable } from './attention-table.js'
import { Batch } from './batch.js'
import { type Source, type StepWriter, writeForward } from './forward.js'
import type { ModelLinear } from './model-linear.js'
import { OpWriter } from './op-writer.js'
import type { Sequence } from './sequence.js'
import { checkRows, type StepContext } from './step.js'

/**
 * What went into a Linear, float32 [rows, inFeatures], and what came out, float32 [rows, outFeatures]: good until the next
 * runs.
 */
export interface LinearTrace {
  readonly name: string
  /** Which of the windows it is for. */
  readonly window: number
  /** The norm that its input comes from, or its own name: the Linears of one norm follow each other. */
  readonly input: string
  readonly x: Float32Array
  readonly y: Float32Array
}

/** Tokens that run through a decoder from the first position on. */
export interface TracedWindow {
  /** A new one, with room for the tokens. */
  readonly sequence: Sequence
  /** As many as a step has outputs, at most. */
  readonly tokens: Uint32Array
}

/**
 * Runs windows of tokens through a decoder and shows every Linear at work. The same arithmetic as a step's, but a
 * program for each op, and every token is an output. All windows pass a block of layers before any enters the next:
 * so a visitor sees all inputs of a Linear before those of the next block come, and needs not keep them.
 *
 * @param visit is awaited before the next Linear runs
 */
export async function trace(
  context: StepContext,
  windows: readonly TracedWindow[],
  visit: (linear: LinearTrace) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const { network, workspace, rotations } = context
  const writers = windows.map((window, i) => {
    const show: Visit = (linear) => visit({ window: i, ...linear })
    const writer = new TraceWriter(context, window, show, signal)
    writeForward(network.config, workspace, writer)
    return writer
  })
  rotations.fill(Math.max(...windows.map(({ tokens }) => tokens.length)))
  for (const { sequence } of windows) sequence.enter()
  try {
    for (const block of writers[0].blocks.keys()) {
      for (const writer of writers) await writer.run(block)
    }
  } finally {
    for (const { sequence } of windows) sequence.leave()
  }
}

type Action = () => Promise<void>
type Visit = (linear: Omit<LinearTrace, 'window'>) => Promise<void>

/** Writes a step as actions: a Linear's call, or a program of the ops in between. */
class TraceWriter implements StepWriter {
  /** Actions between which nothing lives on in the workspace but the residual stream and what is to be added to it. */
  readonly blocks: Action[][] = [[]]
  readonly #context: StepContext
  readonly #batch: Batch
  readonly #visit: Visit
  readonly #signal: AbortSignal | undefined
  readonly #attention: AttentionTable
  /** The residual stream and what is to be added to it, while another window has the workspace. */
  readonly #residual: Float32Array
  readonly #delta: Float32Array
  /** The last one. */
  #norm = ''

  constructor(
    context: StepContext,
    { sequence, tokens }: TracedWindow,
    visit: Visit,
    signal: AbortSignal | undefined,
  ) {
    const { pool, network, workspace, rotations, cacheType } = context
    const rows = tokens.length
    this.#context = context
    this.#batch = new Batch(pool, rows, 0, 0)
    this.#visit = visit
    this.#signal = signal
    this.#residual = new Float32Array(rows * network.config.hiddenSize)
    this.#delta = this.#residual.slice()
    for (const [row, token] of tokens.entries()) this.#batch.addRow(token, row, sequence)
    this.#attention = new AttentionTable(pool, network, workspace, rotations.table, cacheType)
    this.#attention.split(0, Math.ceil(rows / PAGE))
  }

  /** Does the actions of a block. */
  async run(block: number): Promise<void> {
    const { residual, delta } = this.#context.workspace
    residual.set(this.#residual)
    delta.set(this.#delta)
    for (const action of this.blocks[block]) await action()
    const { length } = this.#residual
    this.#residual.set(residual.subarray(0, length))
    this.#delta.set(delta.subarray(0, length))
  }

  embed(): void {
    this.#push((writer) => writer.embed())
  }

  norm(name: string, adds: boolean, takers: readonly string[]): void {
    if (adds) this.blocks.push([])
    this.#norm = name
    this.#push((writer) => writer.norm(name, adds, takers, 'rows'))
  }

  multiply(name: string, source: Source, y: Float32Array): void {
    const { network, workspace } = this.#context
    const input = 'normed' in source ? this.#norm : name
    if ('up' in source && source.up !== undefined) {
      const { x, up } = source
      this.#push((writer) => writer.gate(x, up, network.config.intermediateSize))
    }
    this.#do(async () => {
      const linear = network.linears.get(name) as ModelLinear
      const { rows } = this.#batch
      const x = 'normed' in source ? workspace.normed : source.x
      const shown = {
        x: x.subarray(0, rows * linear.inFeatures),
        y: y.subarray(0, rows * linear.outFeatures),
      }
      if (linear instanceof FloatLinear) {
        const op = { kind: OpKind.dense, m: rows, x, weight: linear.weight, y } as const
        await this.#context.pool.run({ ops: () => [op] }, this.#signal)
      } else {
        await linear.forward(shown.x, { out: shown.y, signal: this.#signal })
      }
      await this.#visit({ name, input, ...shown })
    })
  }

  attend(layer: number): void {
    this.#push((writer) => writer.attend(layer))
  }

  sample(): void {}

  hidden(): void {}

  #do(action: Action): void {
    this.blocks.at(-1)?.push(action)
  }

  #push(write: (writer: OpWriter) => void): void {
    this.#do(async () => {
      checkRows(await this.#context.pool.run(this.#program(write), this.#signal))
    })
  }

  #program(write: (writer: OpWriter) => void): Program {
    const { network, workspace } = this.#context
    const batch = this.#batch
    // where no Linear is int8, norms leave their rows as they are
    const floats = { ...network, linears: new Map() }
    const kind = { oneRow: false, oneOutput: false, hidden: false, split: false }
    const writer = new OpWriter(floats, workspace, batch, batch, this.#attention, kind)
    write(writer)
    return { ops: () => writer.ops.map((op) => ({ ...op, m: batch.rows })) }
  }
}

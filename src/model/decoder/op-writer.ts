import { OpFlags, OpKind } from '../../native/layout.js'
import type { Op, Rows } from '../../native/op.js'
import { Linear } from '../../ops/linear.js'
import { multiplyOp, TOGETHER } from '../../ops/linear-program.js'
import type { AttentionTable } from './attention-table.js'
import type { Batch } from './batch.js'
import type { Extent, Source, StepWriter } from './forward.js'
import type { ModelLinear } from './model-linear.js'
import type { Network } from './network.js'
import type { Workspace } from './workspace.js'

/** What decides of which ops a step is made, besides how many rows there are. */
export interface StepKind {
  /** One row, one output: multiplications stream their weights, and quantise what they can themselves. */
  oneRow: boolean
  oneOutput: boolean
  /** Hidden states are wanted. */
  hidden: boolean
  /** Attention is split over pages, because rows and heads alone would leave threads without work. */
  split: boolean
}

/** Writes a step as ops. How many rows an op works on is set for every batch. */
export class OpWriter implements StepWriter {
  readonly ops: Op[] = []
  /** Of each op. */
  readonly extents: Extent[] = []
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #batch: Batch
  readonly #before: Batch
  readonly #attention: AttentionTable
  readonly #kind: StepKind

  constructor(
    network: Network,
    workspace: Workspace,
    batch: Batch,
    before: Batch,
    attention: AttentionTable,
    kind: StepKind,
  ) {
    this.#network = network
    this.#workspace = workspace
    this.#batch = batch
    this.#before = before
    this.#attention = attention
    this.#kind = kind
  }

  embed(): void {
    const op: Op = {
      kind: OpKind.embed,
      flags: OpFlags.after,
      m: 0,
      rows: this.#batch.rowWords,
      samples: this.#before.samples.words,
      weight: this.#network.embedding,
      y: this.#workspace.residual,
    }
    this.#push(op, 'rows')
  }

  norm(name: string, adds: boolean, takers: readonly string[], extent: 'rows' | 'outputs'): void {
    const { residual, delta, normed } = this.#workspace
    const scale = this.#network.norms.get(name) as Float32Array
    const linears = takers.map((taker) => this.#linear(taker))
    const int8 = linears.find((linear) => linear instanceof Linear)
    const op: Op = {
      kind: OpKind.norm,
      m: 0,
      x: residual,
      u: adds ? delta : null,
      rows: extent === 'outputs' ? this.#batch.outputRows : null,
      scale,
      y: linears.every((linear) => linear instanceof Linear) ? null : normed,
      ...(int8 === undefined ? { xq: null, xScale: null } : this.#quantized()),
      n: this.#workspace.maxRows,
      k: scale.length,
      outliers: int8?.outliers ?? 0,
      eps: this.#network.config.rmsNormEps,
    }
    this.#push(op, extent)
  }

  multiply(name: string, source: Source, y: Float32Array, together = false): void {
    const linear = this.#linear(name)
    const extent = 'normed' in source ? source.normed : 'rows'
    const flags = together ? TOGETHER : 0
    if (!(linear instanceof Linear)) {
      const { weight } = linear
      const x = 'normed' in source ? this.#workspace.normed : this.#gated(source, weight.inFeatures)
      this.#push({ kind: OpKind.dense, flags, m: 0, x, weight, y }, extent)
      return
    }
    const { weight } = linear
    const rows = 'normed' in source ? this.#normed(linear) : this.#ready(source, linear)
    const isOne = extent === 'rows' ? this.#kind.oneRow : this.#kind.oneOutput
    this.#push(multiplyOp(rows, isOne ? 1 : 2, weight, y, flags), extent)
  }

  /** x = silu(x) * up, rows of k elements. */
  gate(x: Float32Array, up: Float32Array, k: number): void {
    this.#push({ kind: OpKind.gate, m: 0, x, ...gateOf(up), y: x, type: 'float32', k }, 'rows')
  }

  attend(layer: number): void {
    const op = { m: 0, rows: this.#batch.sequenceRows, layer: this.#attention.layers[layer] }
    this.#push({ kind: OpKind.rotate, ...op }, 'rows')
    this.#push({ kind: OpKind.attend, ...op }, 'rows')
    if (this.#kind.split) this.#push({ kind: OpKind.merge, ...op }, 'rows')
  }

  sample(): void {
    const { logits } = this.#workspace
    const n = this.#network.config.vocabSize
    this.#push({ kind: OpKind.sample, m: 0, logits, samples: this.#batch.samples, n }, 'outputs')
  }

  hidden(name: string): void {
    if (!this.#kind.hidden) return
    const { residual, delta, maxRows } = this.#workspace
    const { norms, config } = this.#network
    const scale = norms.get(name) as Float32Array
    const { hiddenRows: rows, hiddenStates: y } = this.#batch
    const shape = { m: 0, n: maxRows, k: scale.length, outliers: 0, eps: config.rmsNormEps }
    const operands = { x: residual, u: delta, rows, scale, y, xq: null, xScale: null }
    this.#push({ kind: OpKind.norm, ...shape, ...operands }, 'hidden')
  }

  /** Rows that a norm has quantised. */
  #normed({ inFeatures: k, outliers }: Linear): Rows {
    const input = { x: null, type: 'float32', u: null, activation: 'none', k, outliers } as const
    return { ...input, ...this.#quantized() }
  }

  /** What a quantised multiplication needs: one row it takes as it is, others an op quantises before. */
  #ready({ x, up }: { x: Float32Array; up?: Float32Array }, linear: Linear): Rows {
    const { inFeatures: k, outliers } = linear
    const gate = up === undefined ? ({ u: null, activation: 'none' } as const) : gateOf(up)
    const rows = { x, type: 'float32', ...gate, k, outliers, xq: null, xScale: null } as const
    if (this.#kind.oneRow) return rows
    const quantized = { ...rows, ...this.#quantized() }
    this.#push({ kind: OpKind.quantize, m: 0, ...quantized }, 'rows')
    return quantized
  }

  /** What a float multiplication needs: x, or silu(x) * up in its place. */
  #gated({ x, up }: { x: Float32Array; up?: Float32Array }, k: number): Float32Array {
    if (up !== undefined) this.gate(x, up, k)
    return x
  }

  #quantized(): { xq: Int8Array; xScale: Float32Array } {
    const { quantized, scales } = this.#workspace
    return { xq: quantized, xScale: scales }
  }

  #linear(name: string): ModelLinear {
    return this.#network.linears.get(name) as ModelLinear
  }

  #push(op: Op, extent: Extent): void {
    this.ops.push(op)
    this.extents.push(extent)
  }
}

/** The gate is silu(x) * up. */
const gateOf = (up: Float32Array) => ({ u: up, activation: 'silu' }) as const

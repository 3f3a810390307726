import { denseOp } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import { multiplyOp, TOGETHER } from '../../ops/linear-program.js'
import type { Pool } from '../../pool/pool.js'
import { NativeActivation, type NativeOp, NativeType, OpFlag, OpKind } from '../../pool/program.js'
import type { AttentionTable } from './attention-table.js'
import type { Batch } from './batch.js'
import type { Extent, Source, StepWriter } from './forward.js'
import type { Network } from './network.js'
import type { Projection } from './projection.js'
import type { Workspace } from './workspace.js'

/** What decides of which ops a step is made, besides how many rows there are. */
export interface StepKind {
  /** One row, one output: multiplications stream their weights, and quantise what they can themselves. */
  oneRow: boolean
  oneOutput: boolean
  /** Attention is split over pages, because rows and heads alone would leave threads without work. */
  split: boolean
}

const F32 = NativeType.float32
const silu = NativeActivation.silu

/** Writes a step for C. How many rows an op works on is set for every batch. */
export class NativeWriter implements StepWriter {
  readonly ops: NativeOp[] = []
  /** Of each op. */
  readonly extents: Extent[] = []
  readonly #pool: Pool
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #batch: Batch
  readonly #before: Batch
  readonly #attention: AttentionTable
  readonly #kind: StepKind

  constructor(
    pool: Pool,
    network: Network,
    workspace: Workspace,
    batch: Batch,
    before: Batch,
    attention: AttentionTable,
    kind: StepKind,
  ) {
    this.#pool = pool
    this.#network = network
    this.#workspace = workspace
    this.#batch = batch
    this.#before = before
    this.#attention = attention
    this.#kind = kind
  }

  embed(): void {
    const { address: tiles, type, inFeatures: k, outFeatures: n } = this.#network.embedding
    const op = {
      kind: OpKind.embed,
      n,
      k,
      flags: OpFlag.after,
      x: this.#before.picks.address,
      u: this.#before.picks.endAddress,
      y: this.#at(this.#workspace.residual),
      tiles,
      rows: this.#batch.rowsAddress,
      wType: NativeType[type],
    }
    this.#push(op, 'rows')
  }

  norm(name: string, adds: boolean, takers: readonly string[], extent: Extent): void {
    const { residual, delta, normed } = this.#workspace
    const weight = this.#network.norms.get(name) as Float32Array
    const linears = takers.map((taker) => this.#projection(taker))
    const int8 = linears.find((linear) => linear instanceof Linear)
    this.#push(
      {
        kind: OpKind.norm,
        n: this.#workspace.maxRows,
        k: weight.length,
        x: this.#at(residual),
        u: adds ? this.#at(delta) : 0,
        scale: this.#at(weight),
        eps: this.#network.config.rmsNormEps,
        rows: extent === 'outputs' ? this.#batch.outputsAddress : 0,
        y: linears.every((linear) => linear instanceof Linear) ? 0 : this.#at(normed),
        ...(int8 === undefined ? undefined : { ...this.#quantized(), outliers: int8.outliers }),
      },
      extent,
    )
  }

  multiply(name: string, source: Source, y: Float32Array, together = false): void {
    const projection = this.#projection(name)
    const { inFeatures: k } = projection
    const extent = 'normed' in source ? source.normed : 'rows'
    const flags = together ? TOGETHER : 0
    if (!(projection instanceof Linear)) {
      const x = 'normed' in source ? this.#workspace.normed : this.#gated(source, k)
      this.#push(denseOp(projection.weight, this.#at(x), this.#at(y), flags), extent)
      return
    }
    const count = (extent === 'rows' ? this.#kind.oneRow : this.#kind.oneOutput) ? 1 : 2
    const { outliers } = projection
    const ready =
      'normed' in source ? { x: 0, u: 0, ...this.#quantized() } : this.#ready(source, k, outliers)
    const rows = { count, type: F32, k, flags: 0, activation: silu, outliers, ...ready }
    this.#push(multiplyOp(rows, projection.weight, this.#at(y), flags), extent)
  }

  attend(layer: number): void {
    const attention = this.#attention.address(layer)
    const { rowsAddress: rows } = this.#batch
    this.#push({ kind: OpKind.rotate, rows, attention }, 'rows')
    this.#push({ kind: OpKind.attend, rows, attention }, 'rows')
    if (this.#kind.split) this.#push({ kind: OpKind.merge, rows, attention }, 'rows')
  }

  pick(): void {
    const x = this.#at(this.#workspace.logits)
    const n = this.#network.config.vocabSize
    this.#push({ kind: OpKind.pick, n, x, rows: this.#batch.picks.address }, 'outputs')
  }

  /** What a quantised multiplication needs: one row it takes as it is, others an op quantises before. */
  #ready({ x, up }: { x: Float32Array; up?: Float32Array }, k: number, outliers: number) {
    const places = { x: this.#at(x), u: up === undefined ? 0 : this.#at(up) }
    if (this.#kind.oneRow) return { ...places, xq: 0, xScale: 0 }
    const quantized = this.#quantized()
    const op = { kind: OpKind.quantize, k, activation: silu, outliers, ...places, ...quantized }
    this.#push(op, 'rows')
    return { ...places, ...quantized }
  }

  /** What a float multiplication needs: x, or silu(x) * up in its place. */
  #gated({ x, up }: { x: Float32Array; up?: Float32Array }, k: number): Float32Array {
    if (up === undefined) return x
    const [gate, u] = [this.#at(x), this.#at(up)]
    this.#push({ kind: OpKind.gate, k, activation: silu, x: gate, u, y: gate }, 'rows')
    return x
  }

  #quantized(): { xq: number; xScale: number } {
    const { quantized, scales } = this.#workspace
    return { xq: this.#at(quantized), xScale: this.#at(scales) }
  }

  #projection(name: string): Projection {
    return this.#network.projections.get(name) as Projection
  }

  #at(view: ArrayBufferView): number {
    return this.#pool.addressOf(view)
  }

  #push(op: NativeOp, extent: Extent): void {
    this.ops.push(op)
    this.extents.push(extent)
  }
}

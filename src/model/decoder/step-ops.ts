import { Linear } from '../../ops/linear.js'
import { multiplyOp, TOGETHER } from '../../ops/linear-program.js'
import type { Pool } from '../../pool/pool.js'
import { NativeActivation, type NativeOp, NativeType, OpKind } from '../../pool/program.js'
import { HEAD, layerName } from '../parameters.js'
import type { Projection } from '../projection.js'
import type { AttentionTable } from './attention-table.js'
import type { Batch } from './batch.js'
import type { Network } from './network.js'
import type { Workspace } from './workspace.js'

/** What decides of which ops a step is made, besides how many rows there are. */
export interface StepKind {
  /** One row, one output: multiplications stream their weights, and quantise what they can themselves. */
  oneRow: boolean
  oneOutput: boolean
  /** Attention is split over pages, because rows and heads alone would leave threads without work. */
  split: boolean
}

/** Whether an op works on all rows of a batch, or only on those whose logits are wanted. */
type Extent = 'rows' | 'outputs'

export interface StepOp {
  op: NativeOp
  extent: Extent
}

/** What a multiplication takes: rows that a norm has made, or silu(x) * up, or x as it is. */
type Source = { normed: Extent } | { x: Float32Array; up?: Float32Array }

const F32 = NativeType.float32
const silu = NativeActivation.silu

/**
 * The ops of a step for C. M rows go through together; what a layer does, a line for an op or for some
 * that run at the same time:
 *
 *   x += delta, h = norm(x)
 *   q, k, v = h W^T
 *   q, k normed and rotated; keys and values into their pages
 *   a = attention(q)
 *   delta = a W^T
 *   x += delta, h = norm(x)
 *   gate, up = h W^T
 *   delta = (silu(gate) * up) W^T
 */
export class StepOps {
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #batch: Batch
  readonly #attention: AttentionTable
  readonly #pool: Pool
  readonly #kind: StepKind
  readonly #ops: StepOp[] = []

  constructor(
    pool: Pool,
    network: Network,
    workspace: Workspace,
    batch: Batch,
    attention: AttentionTable,
    kind: StepKind,
  ) {
    this.#pool = pool
    this.#network = network
    this.#workspace = workspace
    this.#batch = batch
    this.#attention = attention
    this.#kind = kind
  }

  /** A whole step. */
  all(): StepOp[] {
    const { config } = this.#network
    const { delta, logits } = this.#workspace
    this.#embed()
    for (let i = 0; i < config.numHiddenLayers; i++) this.#layer(i)
    this.#norm('model.norm', delta, [HEAD], 'outputs')
    this.#multiply(HEAD, { normed: 'outputs' }, logits)
    return this.picks()
  }

  /** What becomes of the logits. */
  picks(): StepOp[] {
    const x = this.#at(this.#workspace.logits)
    const n = this.#network.config.vocabSize
    this.#push({ kind: OpKind.pick, n, x, rows: this.#batch.picksAddress }, 'outputs')
    return this.#ops
  }

  #layer(i: number): void {
    const { delta, q, k, v, attended, gate, up } = this.#workspace
    const attention = `${layerName(i)}.self_attn`
    const mlp = `${layerName(i)}.mlp`
    const qkv = [`${attention}.q_proj`, `${attention}.k_proj`, `${attention}.v_proj`]
    this.#norm(`${layerName(i)}.input_layernorm`, i === 0 ? undefined : delta, qkv, 'rows')
    this.#multiply(qkv[0], { normed: 'rows' }, q)
    this.#multiply(qkv[1], { normed: 'rows' }, k, TOGETHER)
    this.#multiply(qkv[2], { normed: 'rows' }, v, TOGETHER)
    this.#attend(i)
    this.#multiply(`${attention}.o_proj`, { x: attended }, delta)
    const gateUp = [`${mlp}.gate_proj`, `${mlp}.up_proj`]
    this.#norm(`${layerName(i)}.post_attention_layernorm`, delta, gateUp, 'rows')
    this.#multiply(gateUp[0], { normed: 'rows' }, gate)
    this.#multiply(gateUp[1], { normed: 'rows' }, up, TOGETHER)
    this.#multiply(`${mlp}.down_proj`, { x: gate, up }, delta)
  }

  #embed(): void {
    const { address, nativeType, columns: k, rows: n } = this.#network.embedding
    const y = this.#at(this.#workspace.residual)
    const { rowsAddress: rows } = this.#batch
    this.#push({ kind: OpKind.embed, n, k, y, tiles: address, wType: nativeType, rows }, 'rows')
  }

  /** x += delta, then the norm of x, in the formats that the projections after it take. */
  #norm(name: string, delta: Float32Array | undefined, takers: string[], extent: Extent): void {
    const { residual, normed } = this.#workspace
    const weight = this.#network.norms.get(name) as Float32Array
    const types = takers.map((taker) => this.#projection(taker) instanceof Linear)
    this.#push(
      {
        kind: OpKind.norm,
        k: weight.length,
        x: this.#at(residual),
        u: delta === undefined ? 0 : this.#at(delta),
        scale: this.#at(weight),
        eps: this.#network.config.rmsNormEps,
        rows: extent === 'outputs' ? this.#batch.outputsAddress : 0,
        y: types.includes(false) ? this.#at(normed) : 0,
        ...(types.includes(true) ? this.#quantized() : undefined),
      },
      extent,
    )
  }

  #attend(layer: number): void {
    const attention = this.#attention.address(layer)
    const { rowsAddress: rows } = this.#batch
    this.#push({ kind: OpKind.rotate, rows, attention }, 'rows')
    this.#push({ kind: OpKind.attend, rows, attention }, 'rows')
    if (this.#kind.split) this.#push({ kind: OpKind.merge, rows, attention }, 'rows')
  }

  /** y = source W^T (+ bias) */
  #multiply(name: string, source: Source, y: Float32Array, flags = 0): void {
    const projection = this.#projection(name)
    const { inFeatures: k, outFeatures: n } = projection
    const extent = 'normed' in source ? source.normed : 'rows'
    if (!(projection instanceof Linear)) {
      const x = 'normed' in source ? this.#workspace.normed : this.#gated(source, k)
      const { address, nativeType, biasAddress } = projection.weight
      const [wType, tiles, bias] = [nativeType, address, biasAddress]
      const places = { x: this.#at(x), y: this.#at(y), tiles, bias }
      this.#push({ kind: OpKind.dense, n, k, wType, flags, ...places }, extent)
      return
    }
    const count = (extent === 'rows' ? this.#kind.oneRow : this.#kind.oneOutput) ? 1 : 2
    const ready = 'normed' in source ? { x: 0, u: 0, ...this.#quantized() } : this.#ready(source, k)
    const rows = { count, type: F32, k, flags: 0, activation: silu, ...ready }
    this.#push(multiplyOp(rows, projection.weight, this.#at(y), flags), extent)
  }

  /** What a quantised multiplication needs: one row it takes as it is, others an op quantises before. */
  #ready({ x, up }: { x: Float32Array; up?: Float32Array }, k: number) {
    const places = { x: this.#at(x), u: up === undefined ? 0 : this.#at(up) }
    if (this.#kind.oneRow) return { ...places, xq: 0, xScale: 0 }
    const quantized = this.#quantized()
    this.#push({ kind: OpKind.quantize, k, activation: silu, ...places, ...quantized }, 'rows')
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
    this.#ops.push({ op, extent })
  }
}

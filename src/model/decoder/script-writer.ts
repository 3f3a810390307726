import { type CacheType, pageBytes } from '../../layouts/kv-page.js'
import { PickField } from '../../layouts/pick-rows.js'
import { RowLayout } from '../../native/layout.js'
import { denseScript } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import { linearScript } from '../../ops/linear-program.js'
import type { ArgsOf, ScriptOp } from '../../pool/program.js'
import {
  type AttendTask,
  type AttentionGeometry,
  type AttentionRow,
  attendShare,
  attentionModule,
} from '../../reference/attention.js'
import { type EmbeddingTask, embeddingModule, embeddingShare } from '../../reference/embedding.js'
import { type GateTask, gateModule, gateShare } from '../../reference/gate.js'
import { type PickTask, pickModule, pickShare } from '../../reference/pick.js'
import { type RmsNormTask, rmsNormModule, rmsNormShare } from '../../reference/rms-norm.js'
import { type RotateTask, rotateModule, rotateShare } from '../../reference/rotate.js'
import { layerName } from '../config/parameters.js'
import type { Batch } from './batch.js'
import type { Extent, Source, StepWriter } from './forward.js'
import type { Network } from './network.js'
import type { Projection } from './projection.js'
import type { Workspace } from './workspace.js'

/** Writes a step of one batch for TypeScript, where no native library loads. */
export class ScriptWriter implements StepWriter {
  readonly ops: ScriptOp[] = []
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #batch: Batch
  readonly #rotation: Float32Array
  readonly #cacheType: CacheType
  readonly #attentionRows: AttentionRow[]

  /** @param rotation float32 [positions, 2, headDim / 2]: RoPE's cosines, then sines */
  constructor(
    network: Network,
    workspace: Workspace,
    batch: Batch,
    rotation: Float32Array,
    cacheType: CacheType,
  ) {
    this.#network = network
    this.#workspace = workspace
    this.#batch = batch
    this.#rotation = rotation
    this.#cacheType = cacheType
    // one list for all rows of a sequence, which crosses to a worker once
    const pages = new Map(
      batch.sequences.map((sequence) => [sequence, sequence.pages.map(({ bytes }) => bytes)]),
    )
    this.#attentionRows = batch.sequences.map((sequence, row) => ({
      position: batch.position(row),
      pages: pages.get(sequence) as Uint8Array[],
    }))
  }

  embed(): void {
    const { data, inFeatures: width } = this.#network.embedding
    const rows = this.#batch.rowWords.subarray(0, this.#batch.rows * RowLayout.words)
    const y = this.#rows(this.#workspace.residual, width, 'rows')
    const args: ArgsOf<EmbeddingTask> = { rows, weight: data, y, width }
    this.ops.push({ module: embeddingModule, run: embeddingShare, args })
  }

  norm(name: string, adds: boolean, _takers: readonly string[], extent: Extent): void {
    const { residual, delta, normed } = this.#workspace
    const weight = this.#network.norms.get(name) as Float32Array
    const outputs = this.#batch.outputRows.subarray(0, this.#batch.outputs)
    const args: ArgsOf<RmsNormTask> = {
      x: residual,
      u: adds ? delta : undefined,
      rows: extent === 'outputs' ? outputs : undefined,
      weight,
      eps: Math.fround(this.#network.config.rmsNormEps),
      y: this.#rows(normed, weight.length, extent),
    }
    this.ops.push({ module: rmsNormModule, run: rmsNormShare, args })
  }

  multiply(name: string, source: Source, y: Float32Array): void {
    const projection = this.#network.projections.get(name) as Projection
    const { inFeatures, outFeatures } = projection
    const extent = 'normed' in source ? source.normed : 'rows'
    const input = 'normed' in source ? this.#workspace.normed : source.x
    const x = this.#rows(input, inFeatures, extent)
    if ('up' in source && source.up !== undefined) {
      const up = this.#rows(source.up, inFeatures, extent)
      const args: ArgsOf<GateTask> = { activation: 'silu', gate: x, up }
      this.ops.push({ module: gateModule, run: gateShare, args })
    }
    const out = this.#rows(y, outFeatures, extent)
    this.ops.push(
      projection instanceof Linear
        ? linearScript(x, projection.weight, out)
        : denseScript(projection.weight, x, out),
    )
  }

  attend(layer: number): void {
    const { config, norms } = this.#network
    const { q, k, v, attended } = this.#workspace
    const { headDim, numAttentionHeads: queryHeads, numKeyValueHeads: kvHeads } = config
    const name = `${layerName(layer)}.self_attn`
    const geometry: AttentionGeometry = {
      queryHeads,
      kvHeads,
      headDim,
      window: config.windows[layer] ?? 0,
      cacheType: this.#cacheType,
      pageOffset: pageBytes(this.#cacheType, headDim, kvHeads, layer),
      eps: Math.fround(config.rmsNormEps),
      scale: Math.fround(1 / Math.sqrt(headDim)),
    }
    const rows = this.#attentionRows
    const queries = this.#rows(q, queryHeads * headDim, 'rows')
    const rotating: ArgsOf<RotateTask> = {
      geometry,
      rows,
      q: queries,
      k: this.#rows(k, kvHeads * headDim, 'rows'),
      v: this.#rows(v, kvHeads * headDim, 'rows'),
      qNorm: norms.get(`${name}.q_norm`),
      kNorm: norms.get(`${name}.k_norm`),
      rotation: this.#rotation,
    }
    this.ops.push({ module: rotateModule, run: rotateShare, args: rotating })
    const out = this.#rows(attended, queryHeads * headDim, 'rows')
    const attending: ArgsOf<AttendTask> = { geometry, rows, q: queries, out }
    this.ops.push({ module: attentionModule, run: attendShare, args: attending })
  }

  pick(): void {
    const { outputs, picks } = this.#batch
    const args: ArgsOf<PickTask> = {
      logits: this.#rows(this.#workspace.logits, this.#network.config.vocabSize, 'outputs'),
      picks: picks.words.subarray(0, outputs * PickField.words),
      adjustments: picks.adjustments.slice(0, outputs),
      copies: picks.copies.slice(0, outputs),
      candidates: picks.candidates,
    }
    this.ops.push({ module: pickModule, run: pickShare, args })
  }

  /** The rows of a matrix that an op works on. */
  #rows(matrix: Float32Array, columns: number, extent: Extent): Float32Array {
    return matrix.subarray(0, this.#batch[extent] * columns)
  }
}

import type { Pool } from '../../pool/pool.js'
import type { ModelConfig } from '../config/config.js'

/** Rows of one step at most: as many as keep the multiplier busy. */
const MOST_ROWS = 512

/** Logits of one step at most, bytes. */
const LOGITS_BYTES = 64 << 20

/** The activations of a step, all float32, row-major, in shared memory. */
export class Workspace {
  /** Rows of a step, and outputs among them, at most. */
  readonly maxRows: number
  readonly maxOutputs: number
  /** [maxRows, hiddenSize]: the residual stream, what is added to it next, and its norm. */
  readonly residual: Float32Array
  readonly delta: Float32Array
  readonly normed: Float32Array
  /** [maxRows, heads, headDim] */
  readonly q: Float32Array
  readonly k: Float32Array
  readonly v: Float32Array
  readonly attended: Float32Array
  /** [maxRows, intermediateSize] */
  readonly gate: Float32Array
  readonly up: Float32Array
  /** [maxOutputs, vocabSize] */
  readonly logits: Float32Array
  /** Quantised rows in the kernels' own format, and float32 [maxRows]: their scales. */
  readonly quantized: Int8Array
  readonly scales: Float32Array

  constructor(pool: Pool, config: ModelConfig) {
    const { hiddenSize, intermediateSize, headDim, vocabSize } = config
    const rows = mostRows(config)
    this.maxRows = rows
    this.maxOutputs = mostOutputs(config)
    const matrix = (columns: number) => pool.memory.array('float32', rows * columns)
    this.residual = matrix(hiddenSize)
    this.delta = matrix(hiddenSize)
    this.normed = matrix(hiddenSize)
    this.q = matrix(config.numAttentionHeads * headDim)
    this.k = matrix(config.numKeyValueHeads * headDim)
    this.v = matrix(config.numKeyValueHeads * headDim)
    this.attended = matrix(config.numAttentionHeads * headDim)
    this.gate = matrix(intermediateSize)
    this.up = matrix(intermediateSize)
    this.logits = pool.memory.array('float32', this.maxOutputs * vocabSize)
    const longest = Math.max(hiddenSize, intermediateSize, config.numAttentionHeads * headDim)
    this.quantized = pool.memory.array('int8', rows * pool.rowStride(longest))
    this.scales = pool.memory.array('float32', rows)
  }

  /** The memory of all of them, bytes. */
  get byteLength(): number {
    const arrays = Object.values(this).filter((value) => ArrayBuffer.isView(value))
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}

function mostRows({ maxPositionEmbeddings }: ModelConfig): number {
  return Math.min(MOST_ROWS, maxPositionEmbeddings)
}

/** Rows of one step whose logits may be wanted, at most. */
export function mostOutputs(config: ModelConfig): number {
  const outputs = Math.floor(LOGITS_BYTES / (4 * config.vocabSize))
  return Math.min(mostRows(config), Math.max(16, outputs))
}

import { bf16ToFloat32 } from '../bf16.js'
import { BAD_ROW, RowLayout } from '../native/layout.js'
import { rangeOf, type Share } from './share.js'
import { denseStride } from './sum16.js'

/*
 * y[m] = float(w[id[m]]): what the first layer of a model is given for a token.
 */

export interface EmbeddingTask extends Share {
  /** dp_row [M]: which row of the weights each is. */
  rows: Uint32Array
  /** float32 or bfloat16 bits [N, K], rows padded as {@link DenseWeight} has them. */
  weight: Float32Array | Uint16Array
  /** float32 [M, K]. */
  y: Float32Array
  /** K */
  width: number
}

/** Its share of the rows; the fault is one whose id has no weights. */
export function embeddingShare(task: EmbeddingTask): number {
  const { rows, weight, y, width: K } = task
  const [from, to] = rangeOf(task, rows.length / RowLayout.words)
  for (let m = from; m < to; m++) {
    const at = rows[m * RowLayout.words + RowLayout.id] * denseStride(K)
    if (at >= weight.length) return BAD_ROW + m
    const row = weight.subarray(at, at + K)
    y.set(row instanceof Float32Array ? row : bf16ToFloat32(row), m * K)
  }
  return 0
}

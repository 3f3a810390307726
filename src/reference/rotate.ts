import { PAGE } from '../layouts/kv-page.js'
import { BAD_ROW } from '../native/layout.js'
import type { AttentionGeometry } from '../native/op.js'
import { type AttentionRow, pageHead } from './attention.js'
import { rangeOf, type Share } from './share.js'
import { sum16 } from './sum16.js'

/*
 * q = rope(norm(q)) * scale; rope(norm(k)) and v go into their pages.
 *
 *   norm  x[i] = (x[i] * r) * w[i], r = 1 / sqrt(sum_i x[i]^2 / D + eps)   https://arxiv.org/abs/1910.07467
 *   rope  y[i] = x[i] * cos[i] - x[i + D/2] * sin[i],                      https://arxiv.org/abs/2104.09864
 *         y[i + D/2] = x[i + D/2] * cos[i] + x[i] * sin[i], i < D/2
 *
 * The same float32 steps as native/src/kernels/float/rotate.c.
 */

const { fround } = Math

export interface RotateTask extends Share {
  geometry: AttentionGeometry
  /** M of them. */
  rows: AttentionRow[]
  /** float32 [M, queryHeads, D]; the results are written over them. */
  q: Float32Array
  /** float32 [M, kvHeads, D]; overwritten too. */
  k: Float32Array
  /** float32 [M, kvHeads, D] */
  v: Float32Array
  /** float32 [D], or undefined: not normed. */
  qNorm: Float32Array | undefined
  kNorm: Float32Array | undefined
  /** float32 [positions, 2, D / 2]: cosines, then sines. */
  rotation: Float32Array
}

/**
 * Norms and rotates queries and keys, and stores keys and values; shares are rows. The fault is one whose
 * position has no rotation or no page.
 */
export function rotateShare(task: RotateTask): number {
  const { geometry, rows, q, k, v, qNorm, kNorm } = task
  const { queryHeads, kvHeads, headDim: D, eps, scale } = geometry
  const [from, to] = rangeOf(task, rows.length)
  for (let m = from; m < to; m++) {
    const { position } = rows[m]
    const turn = task.rotation.subarray(position * D, (position + 1) * D)
    if (turn.length < D || rows[m].pages[Math.floor(position / PAGE)] === undefined)
      return BAD_ROW + m
    for (let h = m * queryHeads; h < (m + 1) * queryHeads; h++) {
      rotate(q.subarray(h * D, (h + 1) * D), qNorm, eps, turn, scale)
    }
    for (let g = 0; g < kvHeads; g++) {
      const at = (m * kvHeads + g) * D
      const key = k.subarray(at, at + D)
      rotate(key, kNorm, eps, turn, 1)
      const head = pageHead(geometry, rows[m], Math.floor(position / PAGE), g)
      head.store(position % PAGE, key, v.subarray(at, at + D))
    }
  }
  return 0
}

/** x = rope(norm(x)) * scale, in place. */
function rotate(
  x: Float32Array,
  norm: Float32Array | undefined,
  eps: number,
  turn: Float32Array,
  scale: number,
): void {
  if (norm !== undefined) {
    const mean = fround(sum16(x.map((value) => value * value)) / x.length)
    const r = fround(1 / fround(Math.sqrt(fround(mean + eps))))
    for (let i = 0; i < x.length; i++) x[i] = fround(x[i] * r) * norm[i]
  }
  const half = x.length / 2
  for (let i = 0; i < half; i++) {
    const [cos, sin, a, b] = [turn[i], turn[half + i], x[i], x[i + half]]
    x[i] = fround(fround(a * cos) - fround(b * sin)) * scale
    x[i + half] = fround(fround(b * cos) + fround(a * sin)) * scale
  }
}

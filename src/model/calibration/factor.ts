import { rangeOf, type Share } from '../../reference/share.js'

/*
 * H + damping = R^T D R, R unit upper triangular, D diagonal: the factor of the Hessian of a Linear's inputs that
 * compensated rounding works with.
 *
 * Inputs are sorted by H[k, k] and come in blocks. Row by row R[i, j] = (A[i, j] - sum_{l < i} D[l] R[l, i] R[l, j]) /
 * D[i], A = H + damping. Sums over l in the block of i are added up here, on threads that run TypeScript; a block's
 * products for all later rows by the pool, in float32 (see solver.ts), and taken off A here.
 *
 * Elements do not depend on others of their row or column, so they are the same with any number of shares.
 */

/** This module bundled, for threads to load. */
export const factoring = new URL('./factor.cjs', import.meta.url).href

/** Inputs of a block. */
export const BLOCK = 64

/** The share of the mean of H[k, k] that is added to each: calibration has seen some tokens, and others will come. */
const DAMPING = 0.01

/** H + damping = R^T D R, of sorted inputs, in memory that all threads see. */
export interface Factor {
  /** R[i, j] of j in later blocks than i's, 0 elsewhere: float32 [K, K padded to 16]. */
  readonly far: Float32Array
  /** R[i, j] of j in the block of i, behind i: float32 [K, BLOCK]. */
  readonly near: Float32Array
  /** float64 [K]: D. */
  readonly d: Float64Array
  /** The input at each position: uint32 [K]. */
  readonly order: Uint32Array
  /** float64 [K]: H[k, k]. */
  readonly moments: Float64Array
}

/** Fills `order` and `moments` from H; returns what is added to each H[k, k]. */
export function sortInputs(hessian: Float32Array, { order, moments }: Factor): number {
  const K = order.length
  for (let k = 0; k < K; k++) moments[k] = hessian[k * K + k]
  order.set(order.map((_, k) => k).sort((a, b) => moments[a] - moments[b] || b - a))
  // where all inputs are zero any H works
  return (DAMPING * moments.reduce((sum, h) => sum + h, 0)) / K || 1
}

export interface SortTask extends Share {
  /** float32 [K, K], of which H[i, j] with j >= i count. */
  hessian: Float32Array
  order: Uint32Array
  damping: number
  /** float64 [K, K] */
  a: Float64Array
}

/** A[i, j] = H[order[i], order[j]] + damping on the diagonal, for j >= i. */
export function sortShare(task: SortTask): number {
  const { hessian, order, damping, a } = task
  const K = order.length
  const [from, to] = rangeOf(task, K)
  for (let i = from; i < to; i++) {
    const row = order[i]
    for (let j = i; j < K; j++) {
      const column = order[j]
      a[i * K + j] = hessian[row < column ? row * K + column : column * K + row]
    }
    a[i * K + i] += damping
  }
  return 0
}

export interface PanelTask extends Share {
  a: Float64Array
  factor: Factor
  /** Where the block begins. */
  first: number
  /** R[l, j] and D[l] R[l, j] for l in the block and all j behind it: float32 [j][BLOCK]. */
  columns: Float32Array
  scaledColumns: Float32Array
}

/** The rows of R of one block, from A less the products of all blocks before. */
export function panelShare(task: PanelTask): number {
  const { a, factor, first, columns, scaledColumns } = task
  const { d, near, far } = factor
  const K = d.length
  const stride = far.length / K
  const last = Math.min(first + BLOCK, K)
  const size = last - first
  const { diagonal, pivots } = factorDiagonal(a, K, first, size)
  if (task.part === 0) {
    d.set(pivots, first)
    for (let i = 0; i < size; i++) {
      for (let j = i + 1; j < size; j++) near[(first + i) * BLOCK + j] = diagonal[i * BLOCK + j]
    }
  }
  const [from, to] = rangeOf(task, K - last).map((column) => last + column)
  for (let i = 0; i < size; i++) {
    const row = (first + i) * K
    for (let l = 0; l < i; l++) {
      const times = pivots[l] * diagonal[l * BLOCK + i]
      const other = (first + l) * K
      for (let j = from; j < to; j++) a[row + j] -= times * a[other + j]
    }
    for (let j = from; j < to; j++) {
      const r = a[row + j] / pivots[i]
      a[row + j] = r
      far[(first + i) * stride + j] = r
      columns[(j - last) * BLOCK + i] = r
      scaledColumns[(j - last) * BLOCK + i] = pivots[i] * r
    }
  }
  return 0
}

/** Factors a block on the diagonal: its part of R, float64 [BLOCK, BLOCK], and D. */
function factorDiagonal(
  a: Float64Array,
  K: number,
  first: number,
  size: number,
): { diagonal: Float64Array; pivots: Float64Array } {
  const diagonal = new Float64Array(BLOCK * BLOCK)
  const pivots = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    const row = i * BLOCK
    for (let j = i; j < size; j++) diagonal[row + j] = a[(first + i) * K + first + j]
    for (let l = 0; l < i; l++) {
      const times = pivots[l] * diagonal[l * BLOCK + i]
      for (let j = i; j < size; j++) diagonal[row + j] -= times * diagonal[l * BLOCK + j]
    }
    pivots[i] = diagonal[row + i]
    for (let j = i; j < size; j++) diagonal[row + j] /= pivots[i]
  }
  return { diagonal, pivots }
}

export interface SubtractTask extends Share {
  a: Float64Array
  /** K */
  size: number
  /** Rows [first, first + rows) of A. */
  first: number
  rows: number
  /** What is taken off them from column `first` on: float32 [rows, K - first]. */
  products: Float32Array
}

/** A[i, j] -= products, for j >= i. */
export function subtractShare(task: SubtractTask): number {
  const { a, size: K, first, rows, products } = task
  const columns = K - first
  const [from, to] = rangeOf(task, rows)
  for (let i = from; i < to; i++) {
    const row = (first + i) * K + first
    for (let j = i; j < columns; j++) a[row + j] -= products[i * columns + j]
  }
  return 0
}

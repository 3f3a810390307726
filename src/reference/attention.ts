import { headBytes, PAGE } from '../layouts/kv-page.js'
import type { AttentionGeometry } from '../native/op.js'
import { exp } from './exp.js'
import { PageHead } from './page-head.js'
import { rangeOf, type Share } from './share.js'
import { sum16 } from './sum16.js'

/*
 * out = softmax(q . keys) . values over the positions that a row sees: its own and those before, or the
 * last `window` of these. Groups of query heads share a kv head, https://arxiv.org/abs/2305.13245.
 *
 *   s[j] = sum_d q[d] * key[j][d], maximum = max_j s[j], p[j] = e^(s[j] - maximum),
 *   sum = sum_j p[j], values[d] = sum_j p[j] * value[j][d]
 *
 * are a page's part; parts of two pages add up once both are brought to the same maximum,
 * https://arxiv.org/abs/1805.02867. The same float32 steps as native/src/kernels/float/attention.c.
 */

const { fround } = Math

/** Where a row of a batch stands, and in which sequence. */
export interface AttentionRow {
  position: number
  /** The pages of its sequence, in shared memory. */
  pages: Uint8Array[]
}

/** The keys and values of one kv head in one of a row's pages. */
export function pageHead(
  { cacheType, headDim, pageOffset }: AttentionGeometry,
  { pages }: AttentionRow,
  page: number,
  kvHead: number,
): PageHead {
  const offset = pageOffset + kvHead * headBytes(cacheType, headDim)
  return new PageHead(pages[page], offset, cacheType, headDim)
}

export interface AttendTask extends Share {
  geometry: AttentionGeometry
  /** M of them. */
  rows: AttentionRow[]
  /** float32 [M, queryHeads, D], rotated and scaled. */
  q: Float32Array
  /** float32 [M, queryHeads, D] */
  out: Float32Array
}

/** out = softmax(q . keys) . values; shares are query heads of rows. */
export function attendShare(task: AttendTask): number {
  const { geometry, rows, q, out } = task
  const { queryHeads, kvHeads, headDim: D, window } = geometry
  const group = queryHeads / kvHeads
  const [start, end] = rangeOf(task, rows.length * queryHeads)
  for (let i = start; i < end; i++) {
    const row = rows[Math.floor(i / queryHeads)]
    const kvHead = Math.floor((i % queryHeads) / group)
    const last = row.position + 1
    const first = window === 0 ? 0 : Math.max(0, last - window)
    const query = q.subarray(i * D, (i + 1) * D)
    let total: Part | undefined
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) {
      const head = pageHead(geometry, row, page, kvHead)
      const from = Math.max(0, first - page * PAGE)
      const next = attendPage(query, head, from, Math.min(PAGE, last - page * PAGE))
      total = total === undefined ? next : mergeParts(total, next)
    }
    if (total !== undefined) finish(total, out.subarray(i * D, (i + 1) * D))
  }
  return 0
}

/** What attention gives over some positions. */
interface Part {
  maximum: number
  sum: number
  values: Float32Array
}

/** The part of positions [first, last) of a page. */
function attendPage(q: Float32Array, head: PageHead, first: number, last: number): Part {
  const p = new Float32Array(PAGE)
  let maximum = Number.NEGATIVE_INFINITY
  for (let j = first; j < last; j++) {
    let s = 0
    for (let d = 0; d < q.length; d++) s = fround(s + fround(q[d] * head.key(j, d)))
    p[j] = s * (head.keyScale(j) ?? 1)
    if (p[j] > maximum) maximum = p[j]
  }
  for (let j = first; j < last; j++) p[j] = exp(fround(p[j] - maximum))
  const values = new Float32Array(q.length)
  for (let j = first; j < last; j++) {
    const weight = fround(p[j] * (head.valueScale(j) ?? 1))
    for (let d = 0; d < q.length; d++) values[d] += fround(weight * head.value(j, d))
  }
  return { maximum, sum: sum16(p), values }
}

/** Two parts brought to the same maximum and added up. */
function mergeParts(before: Part, next: Part): Part {
  const maximum = Math.max(before.maximum, next.maximum)
  const a = exp(fround(before.maximum - maximum))
  const b = exp(fround(next.maximum - maximum))
  const add = (x: number, y: number) => fround(fround(x * a) + fround(y * b))
  return {
    maximum,
    sum: add(before.sum, next.sum),
    values: before.values.map((value, d) => add(value, next.values[d])),
  }
}

/** out[d] = values[d] * (1 / sum) */
function finish({ sum, values }: Part, out: Float32Array): void {
  const inverse = fround(1 / sum)
  for (let d = 0; d < out.length; d++) out[d] = values[d] * inverse
}

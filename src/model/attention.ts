import { dotRows } from './dot.js'
import { pause, pauseDue } from './event-loop.js'
import type { LayerCache } from './kv-cache.js'

/**
 * out[m, h] = softmax(q[m, h] . keys^T / sqrt(D)) . values over the positions up to row m's own:
 * causal attention, where groups of query heads share a key/value head,
 * https://arxiv.org/abs/2305.13245
 *
 * @param q float32 [M, heads, D], rotated; row m stands at position `start + m`
 * @param heads query heads, a multiple of the cache's
 * @param cache holds the keys and values of the positions up to `start + M - 1`
 * @param start position of the first row
 * @returns float32 [M, heads, D]
 */
export async function attend(
  q: Float32Array,
  heads: number,
  cache: LayerCache,
  start: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { kvHeads, headDim: D, capacity, keys, values } = cache
  const scale = 1 / Math.sqrt(D)
  const group = heads / kvHeads
  const out = new Float32Array(q.length)
  const weights = new Float32Array(capacity)
  for (let at = 0, seen = start + 1; at < q.length; seen++) {
    for (let h = 0; h < heads; h++, at += D) {
      const head = Math.floor(h / group) * capacity * D
      dotRows(q, at, keys, head, D, weights, 0, seen, D)
      softmax(weights, seen, scale)
      dotRows(weights, 0, values, head, capacity, out, at, D, seen)
    }
    if (pauseDue()) await pause(signal)
  }
  return out
}

/** x[i] = exp(scale * x[i]) / sum_j exp(scale * x[j]) for i, j < count, in place. */
function softmax(x: Float32Array, count: number, scale: number): void {
  let max = x[0]
  for (let i = 1; i < count; i++) max = Math.max(max, x[i])
  let sum = 0
  for (let i = 0; i < count; i++) {
    x[i] = Math.exp((x[i] - max) * scale)
    sum += x[i]
  }
  for (let i = 0; i < count; i++) x[i] /= sum
}

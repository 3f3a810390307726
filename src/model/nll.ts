import { ArgumentError, checkInteger } from '../errors.js'
import type { Model } from './model.js'

export interface NllOptions {
  /** Ids per window. 256 by default, or the context where that is shorter. */
  window?: number | undefined
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called after each window with the windows that are done, and all of them. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/**
 * mean over predictions of -log softmax(logits)[next id], in nats: how surprised the model is by
 * `ids`, cut into windows without overlap, where the first id of each predicts the second, and so on.
 * An incomplete last window is left out, unless it is the only one.
 *
 * @throws ArgumentError
 */
export async function meanNll(
  model: Model,
  ids: ArrayLike<number>,
  { window, signal, onProgress }: NllOptions,
): Promise<number> {
  const context = model.config.maxPositionEmbeddings
  if (window !== undefined) checkInteger('window', window, 2, context)
  model.checkIds(ids)
  if (ids.length < 2) throw new ArgumentError('ids', 'at least 2, to predict one', `${ids.length}`)
  const size = Math.min(window ?? 256, context, ids.length)
  const windows = Math.floor(ids.length / size)
  let sum = 0
  for (let w = 0; w < windows; w++) {
    const slice = Array.from({ length: size }, (_, i) => ids[w * size + i])
    sum += await windowNll(model, slice, signal)
    onProgress?.(w + 1, windows)
  }
  return sum / (windows * (size - 1))
}

async function windowNll(model: Model, ids: number[], signal?: AbortSignal): Promise<number> {
  const predictions = ids.length - 1
  const cache = model.createCache(predictions)
  const logits = await model.forward(ids.slice(0, -1), cache, { allRows: true, signal })
  const { vocabSize } = model.config
  let sum = 0
  for (let m = 0; m < predictions; m++) {
    const row = logits.subarray(m * vocabSize, (m + 1) * vocabSize)
    sum += logSumExp(row) - row[ids[m + 1]]
  }
  return sum
}

function logSumExp(x: Float32Array): number {
  let max = x[0]
  for (const value of x) max = Math.max(max, value)
  let sum = 0
  for (const value of x) sum += Math.exp(value - max)
  return max + Math.log(sum)
}

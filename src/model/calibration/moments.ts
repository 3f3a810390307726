import type { FloatLinear } from '../../ops/float-linear.js'
import type { LinearTrace } from '../decoder/trace.js'
import type { Model } from '../model.js'

/** About how many tokens run: the mean squares of more of them tell the search of multipliers nothing new. */
const TOKENS = 1024

/**
 * The sums of the squares of each Linear's inputs while the model runs some text, of which the beginning is enough:
 * float64 [K] by name, in memory that all threads see.
 *
 * @param floats Linears of the model
 * @param windows from `calibrationWindows`, at least one
 * @throws the signal's reason, errors of the pool
 */
export async function measureMoments(
  model: Model,
  floats: ReadonlyMap<string, FloatLinear>,
  windows: readonly Uint32Array[],
  signal: AbortSignal | undefined,
): Promise<Map<string, Float64Array>> {
  const moments = new Map<string, Float64Array>()
  const byInput = new Map<string, Float64Array>()
  let before: LinearTrace | undefined
  const visit = async (linear: LinearTrace) => {
    const { name, window, input, x } = linear
    const float = floats.get(name)
    if (float === undefined) return
    const K = float.inFeatures
    const sums = byInput.get(input) ?? new Float64Array(new SharedArrayBuffer(8 * K))
    byInput.set(input, sums)
    moments.set(name, sums)
    // Linears that share an input are adjacent
    const isCounted = before?.window === window && before.input === input
    before = linear
    if (isCounted) return
    for (let first = 0; first < x.length; first += K) {
      for (let k = 0; k < K; k++) sums[k] += x[first + k] * x[first + k]
    }
  }
  const first = windows.slice(0, Math.ceil(TOKENS / windows[0].length))
  await model.decoder.trace(first, visit, signal)
  return moments
}

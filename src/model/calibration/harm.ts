import { setImmediate } from 'node:timers/promises'
import { NotANumberError } from '../../errors.js'
import type { FloatLinear } from '../../ops/float-linear.js'
import type { Linear } from '../../ops/linear.js'
import { divergence } from '../evaluation/divergence.js'
import type { Model } from '../model.js'

/** The most tokens that run once for each Linear. */
const TOKENS = 128

/**
 * Measures what four bits do to each Linear of a float model: the mean KL divergence of the next token's predictions with
 * that Linear alone in four bits, nats. Small harms of several Linears add up.
 *
 * @param floats Linears of the model
 * @param toInt4 makes one in four bits; it is disposed of afterwards
 * @param tokens the first of them are run
 * @param onLinear called after each
 * @throws NotANumberError, the signal's reason, errors of the pool; the model is then as it was
 */
export async function measureHarms(
  model: Model,
  floats: ReadonlyMap<string, FloatLinear>,
  toInt4: (linear: FloatLinear, name: string) => Promise<Linear>,
  tokens: Uint32Array,
  onLinear: (linear: FloatLinear) => void,
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const harms = new Map<string, number>()
  const text = tokens.subarray(0, TOKENS)
  const expected = await logitsOf(model, text, signal)
  for (const [name, float] of floats) {
    using int4 = await toInt4(float, name)
    const logits = await withLinear(model, name, int4, () => logitsOf(model, text, signal))
    harms.set(name, await meanDivergence(logits, expected, model.config.vocabSize))
    signal?.throwIfAborted()
    onLinear(float)
  }
  return harms
}

async function logitsOf(
  { decoder }: Model,
  tokens: Uint32Array,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  return await decoder.logits(tokens, { from: 0, goesOn: false, signal })
}

/** Runs with another Linear of the model in place of its own. */
async function withLinear<T>(
  { decoder }: Model,
  name: string,
  linear: Linear,
  run: () => Promise<T>,
): Promise<T> {
  const own = decoder.exchangeLinear(name, linear)
  try {
    return await run()
  } finally {
    decoder.exchangeLinear(name, own)
  }
}

async function meanDivergence(
  logits: Float32Array,
  expected: Float32Array,
  vocabSize: number,
): Promise<number> {
  const rows = logits.length / vocabSize
  let sum = 0
  for (let row = 0; row < rows; row++) {
    const rowOf = (matrix: Float32Array) => matrix.subarray(row * vocabSize, (row + 1) * vocabSize)
    const { kl } = divergence(rowOf(logits), rowOf(expected))
    if (Number.isNaN(kl)) throw new NotANumberError('logits', row)
    sum += kl
    // a row takes a millisecond or two, so other work gets its turn between rows
    await setImmediate()
  }
  return sum / rows
}

import { setImmediate } from 'node:timers/promises'
import { NotANumberError } from '../../errors.js'
import type { FloatLinear } from '../../ops/float-linear.js'
import type { Linear } from '../../ops/linear.js'
import type { Model } from '../model.js'
import { Predictions } from './predictions.js'

/** The most tokens that run once for each Linear. */
const TOKENS = 64

/** Rows of logits that are compared between the event loop's turns: a millisecond or two. */
const ROWS = 8

/**
 * Measures what four bits do to each Linear of a float model: the mean KL divergence of the next token's predictions with
 * that Linear alone in four bits, nats. Small harms of several Linears add up.
 *
 * @param floats Linears of the model
 * @param toInt4 makes one in four bits; it is disposed of afterwards
 * @param tokens the first of them are run
 * @param onLinear called after each
 * @throws NotANumberError, the signal's reason, errors of the pool
 */
export async function measureHarms(
  { decoder, config: { vocabSize } }: Model,
  floats: ReadonlyMap<string, FloatLinear>,
  toInt4: (linear: FloatLinear, name: string) => Promise<Linear>,
  tokens: Uint32Array,
  onLinear: (linear: FloatLinear) => void,
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const harms = new Map<string, number>()
  const expected = new Predictions(vocabSize)
  await decoder.runForks(
    tokens.subarray(0, TOKENS),
    async ({ names, run }) => {
      if (expected.rows === 0) await addRows(expected, await run(), vocabSize)
      for (const name of names) {
        const float = floats.get(name)
        if (float === undefined) continue
        using linear = await toInt4(float, name)
        harms.set(name, await meanDivergence(expected, await run({ name, linear }), vocabSize))
        signal?.throwIfAborted()
        onLinear(float)
      }
    },
    signal,
  )
  return harms
}

async function addRows(
  expected: Predictions,
  logits: Float32Array,
  vocabSize: number,
): Promise<void> {
  for (let from = 0; from < logits.length; from += vocabSize) {
    expected.add(logits.subarray(from, from + vocabSize))
    await setImmediate()
  }
}

async function meanDivergence(
  expected: Predictions,
  logits: Float32Array,
  vocabSize: number,
): Promise<number> {
  let sum = 0
  for (let row = 0; row < expected.rows; row++) {
    const kl = expected.divergence(row, logits.subarray(row * vocabSize, (row + 1) * vocabSize))
    if (Number.isNaN(kl)) throw new NotANumberError('logits', row)
    sum += kl
    if (row % ROWS === 0) await setImmediate()
  }
  return sum / expected.rows
}

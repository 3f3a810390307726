import { ArgumentError, NotANumberError } from '../../errors.js'
import type { FloatLinear } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import type { LinearOptions, WeightType } from '../../ops/weight.js'
import type { LinearTrace } from '../decoder/trace.js'
import type { Model } from '../model.js'
import type { Factor } from './factor.js'
import { Hessian } from './hessian.js'
import { type Int4Steps, Solver } from './solver.js'

/** The most calibration tokens for each input of the widest Linear. */
const TOKENS_PER_INPUT = 2

/** The most tokens of a window: windows are independent sequences. */
const WINDOW = 256

/**
 * Divides the tokens of a calibration into windows.
 *
 * @param tokens copied at once
 * @throws ArgumentError if they are not tokens, or fewer than the widest Linear has inputs: some of its inputs
 *   would then have no data
 */
export function calibrationWindows(
  model: Model,
  floats: ReadonlyMap<string, FloatLinear>,
  tokens: ArrayLike<number>,
): Uint32Array[] {
  const copy = model.decoder.copyTokens(tokens, 'calibration')
  const widest = Math.max(1, ...[...floats.values()].map(({ inFeatures }) => inFeatures))
  if (copy.length < widest) {
    const expected = `at least ${widest} tokens, as many as the widest Linear has inputs`
    throw new ArgumentError('calibration', expected, `${copy.length}`)
  }
  const used = copy.subarray(0, TOKENS_PER_INPUT * widest)
  const size = Math.min(WINDOW, model.decoder.mostTraced)
  return Array.from({ length: Math.ceil(used.length / size) }, (_, w) =>
    used.subarray(w * size, (w + 1) * size),
  )
}

/**
 * Quantises float Linears of a model with error compensation: rounds their weights so that outputs change least on the
 * inputs that the Linears have while the model runs some text. Memory holds what one block of layers needs at a time.
 *
 * @param floats the Linears, in the order in which a forward uses them
 * @param windows from {@link calibrationWindows}
 * @param optionsOf returns the options of each quantised Linear
 * @param formatOf returns what each becomes
 * @param stepsOf searches multipliers and scales of one in four bits, given the mean squares of its inputs
 * @param onLinear called after each Linear
 * @throws NotANumberError, ArgumentError for a weight that is not finite, the signal's reason, errors of the pool
 */
export async function calibrate(
  model: Model,
  floats: ReadonlyMap<string, FloatLinear>,
  windows: readonly Uint32Array[],
  optionsOf: (linear: FloatLinear) => LinearOptions,
  formatOf: (name: string) => WeightType,
  stepsOf: (linear: FloatLinear, name: string, moments: Float64Array) => Promise<Int4Steps>,
  onLinear: (linear: FloatLinear) => void,
  signal?: AbortSignal,
): Promise<Map<string, Linear>> {
  const linears = new Map<string, Linear>()
  await using solver = new Solver(model.pool)
  const hessians = new Map<string, Hessian>()
  /** Those of the block before, which are used again. */
  const spare: Hessian[] = []
  const takeHessian = (inFeatures: number): Hessian => {
    const index = spare.findIndex((hessian) => hessian.inFeatures === inFeatures)
    return index < 0 ? new Hessian(model.pool, inFeatures) : spare.splice(index, 1)[0]
  }
  let factor: Factor
  let before: LinearTrace | undefined
  const visit = async (linear: LinearTrace) => {
    const { name, window, input, x } = linear
    const float = floats.get(name)
    if (float === undefined) return
    if (before?.window !== window || before.input !== input) {
      checkFinite(linear, float.inFeatures)
      const hessian = hessians.get(input) ?? takeHessian(float.inFeatures)
      hessians.set(input, hessian)
      await hessian.add(x, signal)
    }
    before = linear
    if (window < windows.length - 1) return
    const hessian = hessians.get(input)
    // Linears that share an input are adjacent
    if (hessian !== undefined) {
      factor = await solver.factor(hessian, signal)
      hessian.clear()
      spare.push(hessian)
    }
    hessians.delete(input)
    if (formatOf(name) === 'int4') {
      const steps = await stepsOf(float, name, factor.moments)
      const { scale, ...weight } = await solver.roundInt4(float.weight, factor, steps, signal)
      linears.set(name, await Linear.fromInt4(model.pool, weight, scale, optionsOf(float)))
    } else {
      const { q, scale } = await solver.round(float.weight, factor, signal)
      linears.set(name, await Linear.fromInt8(model.pool, q, scale, optionsOf(float)))
    }
    onLinear(float)
  }
  try {
    await model.decoder.trace(windows, visit, signal)
    return linears
  } catch (error) {
    for (const linear of linears.values()) linear.dispose()
    throw error
  }
}

/** @throws NotANumberError */
function checkFinite({ name, x }: LinearTrace, inFeatures: number): void {
  for (let i = 0; i < x.length; i++) {
    if (Number.isFinite(x[i])) continue
    throw new NotANumberError(`inputs of ${name}`, Math.floor(i / inFeatures))
  }
}

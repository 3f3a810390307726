import { ArgumentError, checkCallback, checkSignal, NotANumberError } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import type { ModelLinear } from '../decoder/model-linear.js'
import type { LinearTrace } from '../decoder/trace.js'
import type { Model } from '../model.js'
import { checkModels } from './compare.js'

/** The most tokens that run through both models. */
const TOKENS = 256

export interface LinearErrorOptions {
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called after each Linear with the Linears done so far, and the total. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

const linearErrorOptions: OptionNames<LinearErrorOptions> = {
  signal: checkSignal,
  onProgress: checkCallback,
}

/** The error of a Linear's output relative to the reference's, on the same input. */
export interface LinearError {
  /** Its name in the model, e.g. `model.layers.0.mlp.up_proj`. */
  readonly name: string
  /** Its name in every layer, e.g. `up_proj`. */
  readonly kind: string
  /** Its layer, from 0; null for `lm_head`. */
  readonly layer: number | null
  /** |y - yRef| / |yRef| in the Euclidean norm, y the output for one token: its mean over tokens. */
  readonly error: number
}

/**
 * Measures the error of each Linear of a model. Both models' Linears get the input that the reference's Linear gets
 * while it runs the text, so that an error is the Linear's own, not that of those before it.
 *
 * @param tokens the first of them are run, 256 at most; copied at once
 * @returns in the order in which a forward uses them
 * @throws ArgumentError, DisposedError, NotANumberError, the signal's reason, and errors of the pool
 */
export async function compareLinears(
  model: Model,
  reference: Model,
  tokens: ArrayLike<number>,
  options: LinearErrorOptions = {},
): Promise<LinearError[]> {
  checkModels(model, reference)
  const { signal, onProgress } = checkOptions(options, linearErrorOptions)
  checkShapes(model, reference)
  const copy = reference.decoder.copyTokens(tokens, 'tokens')
  const { linears } = model
  const errors: LinearError[] = []
  const first = copy.subarray(0, Math.min(TOKENS, reference.decoder.mostTraced))
  const compare = async ({ name, x, y }: LinearTrace) => {
    const linear = linears.get(name) as ModelLinear
    const rows = rowErrors(await linear.forward(x, { signal }), y, linear.outFeatures)
    const bad = rows.findIndex(Number.isNaN)
    if (bad >= 0) throw new NotANumberError(`outputs of ${name}`, bad)
    const error = rows.reduce((a, b) => a + b) / rows.length
    errors.push({ name, ...placeOf(name), error })
    onProgress?.(errors.length, linears.size)
  }
  await reference.decoder.trace([first], compare, signal)
  return errors
}

/** @throws ArgumentError unless both have the same Linears */
function checkShapes(model: Model, reference: Model): void {
  for (const [name, { inFeatures, outFeatures }] of model.linears) {
    const other = reference.linears.get(name)
    if (other?.inFeatures === inFeatures && other.outFeatures === outFeatures) continue
    const got = other === undefined ? 'none' : `[${other.outFeatures}, ${other.inFeatures}]`
    throw new ArgumentError('reference', `a ${name} of [${outFeatures}, ${inFeatures}]`, got)
  }
  if (model.linears.size === reference.linears.size) return
  const [own, other] = [model, reference].map(({ linears }) => `${linears.size}`)
  throw new ArgumentError('reference', `${own} Linears, as the model has`, other)
}

/** `model.layers.3.mlp.up_proj` is the `up_proj` of layer 3. */
export function placeOf(name: string): Pick<LinearError, 'kind' | 'layer'> {
  const layer = /\.layers\.(\d+)\./.exec(name)?.[1]
  const kind = name.slice(name.lastIndexOf('.') + 1)
  return { kind, layer: layer === undefined ? null : Number(layer) }
}

/** |y - expected| / |expected| of each row. */
function rowErrors(y: Float32Array, expected: Float32Array, columns: number): Float64Array {
  return new Float64Array(y.length / columns).map((_, m) => {
    let [difference, norm] = [0, 0]
    for (let i = m * columns; i < (m + 1) * columns; i++) {
      difference += (y[i] - expected[i]) ** 2
      norm += expected[i] ** 2
    }
    // a row of zeros may match exactly
    return difference === 0 ? 0 : Math.sqrt(difference / norm)
  })
}

import { ArgumentError, describe } from '../errors.js'
import { FloatLinear } from '../ops/float-linear.js'
import { Linear } from '../ops/linear.js'
import type { WeightType } from '../ops/weight.js'
import { checkOptions, type OptionNames } from '../options.js'
import { checkOutliers } from '../reference/quantize.js'
import { calibrate, calibrationWindows } from './calibration/calibrate.js'
import { measureHarms } from './calibration/harm.js'
import { measureMoments } from './calibration/moments.js'
import type { Int4Steps } from './calibration/solver.js'
import { Checkpoint } from './checkpoint/checkpoint.js'
import { storedFormat, tensorsOf } from './checkpoint/stored-format.js'
import { toInt4Linear, toLinear } from './checkpoint/stored-linear.js'
import { type ReadOptions, readOptions } from './checkpoint/tensor-file.js'
import { TensorReader } from './checkpoint/tensor-reader.js'
import { checkHead, defaultW4A8Format } from './config/linear-format.js'
import { HEAD, linearSpecs } from './config/parameters.js'
import type { Quantization } from './config/quantization-config.js'
import { defaultSkip, type Skip, skipMatcher } from './config/skip.js'
import { defaultOutliers, makeEach } from './decoder/model-linear.js'
import { checkModel, type Model } from './model.js'
import { harmOfWeight, INT4_BITS, INT8_BITS, spendBits } from './quantization/bit-budget.js'
import { Int4Quantizer } from './quantization/int4-quantizer.js'

/*
 * The two ways to put int8 Linears into a model: quantise the float weights it has, or take int8
 * weights from a checkpoint. Either all chosen Linears change or, where one fails, none.
 */

export interface ReplaceOptions extends ReadOptions {
  /** Linears that stay as they are; `lm_head` by default. */
  skip?: Skip | undefined
  /**
   * The most elements of a row of activations that the int8 Linears keep exact: by default as many as those do that
   * stay, or as {@link LoadOptions.outliers} says.
   */
  outliers?: number | undefined
}

const replaceOptions: OptionNames<ReplaceOptions> = { ...readOptions, skip: true, outliers: true }

export interface QuantizeOptions extends ReplaceOptions {
  /**
   * Tokens of a text like those that the model is for: weights are rounded so that their errors make good for each
   * other where the model runs such a text (GPTQ), rather than each to the nearest. At least as many as the widest Linear
   * has inputs; twice as many are run, the first ones. It takes minutes, and costs nothing afterwards.
   */
  calibration?: ArrayLike<number> | undefined
  /** `w4a8` for most Linears in four bits a weight, as for {@link Model.load}; `w8a8` by default. */
  quantize?: Exclude<Quantization, 'none'> | undefined
  /** The head's weights under `w4a8`; `int8` by default. */
  head?: WeightType | undefined
  /**
   * Under `w4a8` the most bits a weight, on average over the Linears that are quantised but for the head: those that four
   * bits would do most harm get eight. With a calibration the harm of each Linear is measured on its first tokens,
   * as the KL divergence of the model with that Linear alone in four bits from the float model. Without one it is
   * estimated by what is known of other models. From 4.25 on, which is all in four bits.
   */
  bits?: number | undefined
}

const quantizeOptions: OptionNames<QuantizeOptions> = {
  ...replaceOptions,
  calibration: true,
  quantize: true,
  head: true,
  bits: true,
}

/** What became of each Linear of a model. */
export interface ReplaceReport {
  /** Names of those that run in int8 on the pool now. */
  readonly replaced: readonly string[]
  readonly skipped: readonly SkippedLinear[]
}

export interface SkippedLinear {
  readonly name: string
  readonly reason: string
}

export interface QuantizeReport extends ReplaceReport {
  /** Tokens of the calibration that were run. */
  readonly calibrationTokens: number
  /** The width of each Linear that was replaced. */
  readonly widths: readonly LinearWidth[]
}

/** The width that was chosen for a Linear. */
export interface LinearWidth {
  readonly name: string
  /** Of a weight: 8, or 4.25 with the multipliers of four bits. */
  readonly bits: number
  /** What four bits do to it, KL divergence in nats, if there was a budget and a calibration to measure it. */
  readonly harm: number | undefined
}

/**
 * Quantises the model's float Linears to run in int8, or in four bits a weight, from now on. Not while anything is being
 * generated.
 *
 * @param options `onProgress` counts bytes of float weights, twice where their harm is measured first
 * @throws ArgumentError, e.g. for a weight that is not finite; NotANumberError if what a calibration runs becomes so;
 *   the signal's reason; what the pool throws. The model is then as it was
 */
export async function quantizeLinears(
  model: Model,
  options: QuantizeOptions = {},
): Promise<QuantizeReport> {
  checkModel(model)
  const checked = checkOptions(options, quantizeOptions)
  const { skip = defaultSkip, calibration, signal, onProgress } = checked
  checkWidths(checked)
  const floats = new Map<string, FloatLinear>()
  const { skipped, rest } = applySkip(skip, model.linears)
  for (const [name, linear] of rest) {
    if (linear instanceof FloatLinear) floats.set(name, linear)
    else skipped.push({ name, reason: `is ${linear.weightType} already` })
  }
  const outliersOf = chooseOutliers(model, floats, checked)
  const windows = calibration === undefined ? [] : calibrationWindows(model, floats, calibration)
  const isMeasured = windows.length > 0 && checked.bits !== undefined
  const total = [...floats].reduce((bytes, [name, { weight }]) => {
    // the harm of each is measured first
    return bytes + weight.byteLength * (isMeasured && name !== HEAD ? 2 : 1)
  }, 0)
  let done = 0
  const count = ({ weight }: FloatLinear) => {
    done += weight.byteLength
    onProgress?.(done, total)
  }
  const optionsOf = ({ weight }: FloatLinear) => {
    const { inFeatures, outFeatures, bias } = weight
    return { inFeatures, outFeatures, bias, outliers: outliersOf(weight), signal }
  }
  await using quantizer = new Int4Quantizer(model.pool)
  const steps = new Map<string, Int4Steps>()
  const toInt4 = async (float: FloatLinear, name: string, moments?: Float64Array) => {
    const { weight } = float
    const { scale, ...int4 } = await quantizer.quantize(weight, weight, moments, signal)
    if (moments !== undefined) steps.set(name, { multipliers: int4.multipliers, scale })
    return await Linear.fromInt4(model.pool, int4, scale, optionsOf(float))
  }
  const task = { model, floats, toInt4, windows, count, signal }
  const { harms, formatOf } = await chooseFormats(task, checked)
  const stepsOf = async ({ weight }: FloatLinear, name: string, moments: Float64Array) =>
    steps.get(name) ?? (await quantizer.quantize(weight, weight, moments, signal))
  const linears =
    windows.length > 0
      ? await calibrate(model, floats, windows, optionsOf, formatOf, stepsOf, count, signal)
      : await makeEach(floats, async (float, name) => {
          const linear =
            formatOf(name) === 'int4'
              ? await toInt4(float, name)
              : await Linear.fromSource(model.pool, float.weight, undefined, optionsOf(float))
          count(float)
          return linear
        })
  model.decoder.setLinears(linears)
  const calibrationTokens = windows.reduce((sum, { length }) => sum + length, 0)
  const widths = [...linears].map(([name, linear]) => ({
    name,
    bits: linear.weightType === 'int4' ? INT4_BITS : INT8_BITS,
    harm: harms.get(name),
  }))
  return { replaced: [...linears.keys()], skipped, calibrationTokens, widths }
}

/** @throws ArgumentError for an unknown scheme, or a budget or a head that do not go with it */
function checkWidths({ quantize = 'w8a8', head, bits }: QuantizeOptions): void {
  if (quantize !== 'w8a8' && quantize !== 'w4a8') {
    throw new ArgumentError('quantize', "'w8a8' or 'w4a8'", describe(quantize))
  }
  checkHead(head, quantize)
  if (bits === undefined) return
  if (quantize === 'w8a8') {
    throw new ArgumentError('bits', "none without `quantize: 'w4a8'`", describe(bits))
  }
  if (typeof bits === 'number' && bits >= INT4_BITS) return
  throw new ArgumentError('bits', `a number of at least ${INT4_BITS}`, describe(bits))
}

/** Float Linears to quantise. */
interface QuantizeTask {
  readonly model: Model
  readonly floats: ReadonlyMap<string, FloatLinear>
  /** Makes one in four bits. */
  readonly toInt4: (linear: FloatLinear, name: string, moments?: Float64Array) => Promise<Linear>
  /** Of the calibration; none without one. */
  readonly windows: readonly Uint32Array[]
  /** Called after the harm of each was measured. */
  readonly count: (linear: FloatLinear) => void
  readonly signal: AbortSignal | undefined
}

interface FormatChoice {
  readonly formatOf: (name: string) => WeightType
  /** What four bits do to each Linear, where that was measured. */
  readonly harms: ReadonlyMap<string, number>
}

/** Chooses which Linears get four bits, by the budget if there is one; the head as the options say. */
async function chooseFormats(
  { model, floats, toInt4, windows, count, signal }: QuantizeTask,
  { quantize, head = 'int8', bits }: QuantizeOptions,
): Promise<FormatChoice> {
  const { config } = model
  if (quantize !== 'w4a8') return { formatOf: () => 'int8', harms: new Map() }
  if (bits === undefined) {
    return { formatOf: (name) => defaultW4A8Format(name, config, head), harms: new Map() }
  }
  const layers = new Map([...floats].filter(([name]) => name !== HEAD))
  const sizeOf = ({ inFeatures, outFeatures }: FloatLinear) => inFeatures * outFeatures
  let harms: ReadonlyMap<string, number> = new Map()
  if (windows.length > 0) {
    // the moments matter: some inputs are hundreds of times as large as others
    const moments = await measureMoments(model, layers, windows, signal)
    const weighted = (linear: FloatLinear, name: string) => toInt4(linear, name, moments.get(name))
    harms = await measureHarms(model, layers, weighted, windows[0], count, signal)
  }
  const candidates = [...layers].map(([name, linear]) => {
    const size = sizeOf(linear)
    return { name, size, harm: harms.get(name) ?? size * harmOfWeight(name, config) }
  })
  const int8 = spendBits(candidates, bits)
  if (head === 'int8') int8.add(HEAD)
  return { formatOf: (name) => (int8.has(name) ? 'int8' : 'int4'), harms }
}

/**
 * Replaces the model's Linears by those that a checkpoint of the same shapes stores as int8 or in four bits. Not
 * while anything is being generated.
 *
 * @param state the checkpoint, open
 * @param options `onProgress` counts bytes of the checkpoint
 * @throws ArgumentError; FormatError if a tensor is missing or not as it should be; the signal's
 *   reason; what the pool throws. The model is then as it was
 */
export async function replaceLinears(
  model: Model,
  state: Checkpoint,
  options: ReplaceOptions = {},
): Promise<ReplaceReport> {
  checkModel(model)
  if (!(state instanceof Checkpoint)) {
    throw new ArgumentError('state', 'a Checkpoint', describe(state))
  }
  const checked = checkOptions(options, replaceOptions)
  const { skip = defaultSkip } = checked
  const { skipped, rest } = applySkip(skip, linearSpecs(model.config))
  for (const [name, spec] of rest) {
    if (storedFormat(state, spec) !== 'float') continue
    rest.delete(name)
    skipped.push({ name, reason: `is stored as ${state.entry(spec.weight).dtype}` })
  }
  const tensors = [...rest.values()].flatMap((spec) => tensorsOf(state, spec))
  const outliersOf = chooseOutliers(model, rest, checked)
  const reader = new TensorReader(state, tensors, checked)
  await using quantizer = new Int4Quantizer(model.pool)
  const linears = await makeEach(rest, (spec) =>
    storedFormat(state, spec) === 'int8'
      ? toLinear(model.pool, reader, spec, outliersOf(spec))
      : toInt4Linear(model.pool, reader, spec, outliersOf(spec), quantizer),
  )
  model.decoder.setLinears(linears)
  return { replaced: [...linears.keys()], skipped }
}

/**
 * How many outliers new Linears keep: of those that have as many inputs all keep equally many, for some share rows.
 *
 * @throws ArgumentError if a Linear that stays keeps another number than is asked for
 */
function chooseOutliers(
  model: Model,
  replaced: ReadonlyMap<string, unknown>,
  { outliers }: ReplaceOptions,
): (linear: { inFeatures: number }) => number {
  if (outliers !== undefined) checkOutliers(outliers)
  const kept = new Map<number, number>()
  for (const [name, linear] of model.linears) {
    if (replaced.has(name) || !(linear instanceof Linear)) continue
    kept.set(linear.inFeatures, linear.outliers)
    if (outliers === undefined || outliers === linear.outliers) continue
    throw new ArgumentError('outliers', `${linear.outliers}, as ${name} has`, `${outliers}`)
  }
  return ({ inFeatures: K }) => outliers ?? kept.get(K) ?? defaultOutliers(K)
}

/** Parts `linears` by the skip list. */
function applySkip<T>(
  skip: Skip,
  linears: ReadonlyMap<string, T>,
): { skipped: SkippedLinear[]; rest: Map<string, T> } {
  const entryFor = skipMatcher(skip, [...linears.keys()])
  const skipped: SkippedLinear[] = []
  const rest = new Map<string, T>()
  for (const [name, linear] of linears) {
    const entry = entryFor(name)
    if (entry === undefined) rest.set(name, linear)
    else skipped.push({ name, reason: `is skipped by ${entry}` })
  }
  return { skipped, rest }
}

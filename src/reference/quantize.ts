import { bf16ToFloat32 } from '../bf16.js'
import { ArgumentError, checkInteger, describe } from '../errors.js'
import { MAX_OUTLIERS } from '../native/layout.js'
import { checkOptions, type OptionNames } from '../options.js'
import { newArray, readFloats, Tensor } from '../tensor.js'

/*
 * Symmetric int8 quantisation in float32 operations, each rounded once, so that every kernel can compute the same
 * bits.
 */

/** The least value that counts as absmax, so that a row of zeros has a scale. */
export const ABSMAX_FLOOR = Math.fround(1e-8)

/** Adding and subtracting this rounds a float32 below 2^22 to an integer, ties to even. */
const ROUNDER = 1.5 * 2 ** 23

/** Nearest integer, ties to even, for float32 values below 2^22. */
function round(value: number): number {
  return Math.fround(value + ROUNDER) - ROUNDER
}

function absmaxOf(values: Float32Array): number {
  let absmax = 0
  for (const value of values) {
    const magnitude = Math.abs(value)
    // the negation keeps a NaN
    if (!(magnitude <= absmax)) absmax = magnitude
    if (Number.isNaN(absmax)) return absmax
  }
  return absmax
}

/** The largest integer of an outlier, in multiples of 127. */
const OUTLIER_FACTOR = 128

/**
 * q[k] = clamp(rne(x[k] * (127 / a)), -127, 127), a = max(absmax(x), 1e-8); returns a / 127, or NaN,
 * with all q zero, where x holds a NaN or an infinity.
 *
 * With c outliers a is the (c + 1)-th largest |x|, but at least 1/128 of absmax; what is above a is clamped to
 * 127 * 128 instead of 127.
 *
 * @param x one row of activations
 * @param q where to write, as long as x; int16 where there are outliers
 * @param outliers c, at most {@link MAX_OUTLIERS}
 */
export function quantizeRow(x: Float32Array, q: Int8Array | Int16Array, outliers = 0): number {
  const absmax = absmaxOf(x)
  if (!Number.isFinite(absmax)) {
    q.fill(0)
    return Number.NaN
  }
  const largest = outliers === 0 ? absmax : largestOfRest(x, absmax, outliers)
  const a = Math.max(largest, ABSMAX_FLOOR)
  const inverse = Math.fround(127 / a)
  for (let k = 0; k < x.length; k++) {
    const most = Math.abs(x[k]) > a ? 127 * OUTLIER_FACTOR : 127
    const value = round(Math.fround(x[k] * inverse))
    q[k] = Math.min(most, Math.max(-most, value))
  }
  return Math.fround(a / 127)
}

/** The largest |x| that is no outlier. */
function largestOfRest(x: Float32Array, absmax: number, outliers: number): number {
  const magnitudes = x.map(Math.abs).sort().reverse()
  return Math.max(magnitudes[outliers] ?? 0, Math.fround(absmax / OUTLIER_FACTOR))
}

/**
 * q[k] = clamp(rne(w[k] / s), -128, 127), s = max(absmax(w), 1e-8) / 127; returns s, or NaN where w
 * holds a NaN or an infinity.
 *
 * @param w the weights of one output channel
 * @param q where to write, as long as w
 */
export function quantizeChannel(w: Float32Array, q: Int8Array): number {
  const absmax = absmaxOf(w)
  if (!Number.isFinite(absmax)) return Number.NaN
  const scale = Math.fround(Math.max(absmax, ABSMAX_FLOOR) / 127)
  for (let k = 0; k < w.length; k++) q[k] = roundWeight(w[k], scale)
  return scale
}

/** clamp(rne(w / s), -128, 127) */
export function roundWeight(w: number, scale: number): number {
  return Math.min(127, Math.max(-128, round(Math.fround(w / scale))))
}

function toFloat32(argument: string, floats: unknown): Float32Array {
  const elements = readFloats(argument, floats)
  return elements instanceof Float32Array ? elements : bf16ToFloat32(elements)
}

export interface QuantizeRowsOptions {
  /**
   * The most elements of a row that are kept exact, while the others set its quantisation step. At most 15; 0 by
   * default.
   */
  outliers?: number | undefined
}

const quantizeRowsOptions: OptionNames<QuantizeRowsOptions> = { outliers: true }

/** @throws ArgumentError unless a row can have this many outliers */
export function checkOutliers(outliers: number): void {
  checkInteger('outliers', outliers, 0, MAX_OUTLIERS)
}

/**
 * Quantises rows of activations, each with its own scale: x ~ q * scale.
 *
 * @param x float32 [M, K], or a float32 or bfloat16 tensor [..., K]
 * @param inFeatures K; by default a tensor's last dimension
 * @returns q int8 [M, K] in [-127, 127], scale float32 [M]; a row with a NaN or an infinity gets
 *   zeros and the scale NaN. With outliers q is int16, and these are in [-16256, 16256]
 * @throws ArgumentError if x is not such an array, or its length is not a multiple of K
 */
export function quantizeRows(
  x: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
  inFeatures?: number,
  options?: { outliers?: 0 | undefined },
): { q: Int8Array; scale: Float32Array }
export function quantizeRows(
  x: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
  inFeatures: number | undefined,
  options: QuantizeRowsOptions,
): { q: Int8Array | Int16Array; scale: Float32Array }
export function quantizeRows(
  x: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
  columns?: number,
  options: QuantizeRowsOptions = {},
): { q: Int8Array | Int16Array; scale: Float32Array } {
  const values = toFloat32('x', x)
  const { outliers = 0 } = checkOptions(options, quantizeRowsOptions)
  checkOutliers(outliers)
  const whole = x instanceof Tensor ? (x.dims.at(-1) ?? 0) : values.length
  const inFeatures = columns === undefined ? whole : columns
  checkInteger('inFeatures', inFeatures, 1, Number.MAX_SAFE_INTEGER)
  if (values.length % inFeatures !== 0) {
    throw new ArgumentError('x', `a length that is a multiple of ${inFeatures}`, describe(values))
  }
  const q = newArray<Int8Array | Int16Array>(outliers === 0 ? Int8Array : Int16Array, values.length)
  const scale = newArray(Float32Array, values.length / inFeatures)
  for (let m = 0; m < scale.length; m++) {
    const [from, to] = [m * inFeatures, (m + 1) * inFeatures]
    scale[m] = quantizeRow(values.subarray(from, to), q.subarray(from, to), outliers)
  }
  return { q, scale }
}

/** The sizes of a weight [N, K]. */
export interface WeightShape {
  /** K: length of an input row. */
  inFeatures: number
  /** N: length of an output row. */
  outFeatures: number
}

const shapeOptions: OptionNames<WeightShape> = { inFeatures: true, outFeatures: true }

/**
 * Quantises weights, each output channel with its own scale: w ~ weight * scale.
 *
 * @param w float32 or bfloat16 [N, K], row-major as in `nn.Linear`
 * @returns weight int8 [N, K] and scale float32 [N], the arguments of {@link Linear.fromInt8}
 * @throws ArgumentError if the length is not N * K, or a weight is NaN or infinite
 */
export function quantizeWeight(
  w: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
  shape: WeightShape,
): { weight: Int8Array; scale: Float32Array } {
  const { inFeatures, outFeatures } = checkOptions(shape, shapeOptions, 'shape')
  const values = toFloat32('w', w)
  checkInteger('inFeatures', inFeatures, 1, Number.MAX_SAFE_INTEGER)
  checkInteger('outFeatures', outFeatures, 1, Number.MAX_SAFE_INTEGER)
  if (values.length !== inFeatures * outFeatures) {
    throw new ArgumentError('w', `${outFeatures} * ${inFeatures} elements`, describe(values))
  }
  const weight = newArray(Int8Array, values.length)
  const scale = newArray(Float32Array, outFeatures)
  for (let n = 0; n < outFeatures; n++) {
    const [from, to] = [n * inFeatures, (n + 1) * inFeatures]
    scale[n] = quantizeChannel(values.subarray(from, to), weight.subarray(from, to))
    if (Number.isNaN(scale[n])) throw notFinite('w', n)
  }
  return { weight, scale }
}

/** Makes the error for a weight that cannot be quantised; it names the output channel. */
export function notFinite(argument: string, channel: number): ArgumentError {
  return new ArgumentError(
    argument,
    'finite weights',
    `a NaN or an infinity in output channel ${channel}`,
  )
}

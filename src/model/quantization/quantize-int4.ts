import { bf16ToFloat32 } from '../../bf16.js'
import { ArgumentError, checkInteger, describe } from '../../errors.js'
import { MAX_K } from '../../native/layout.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { type Int4Weight, int4Strides } from '../../reference/int4.js'
import { importanceOf } from '../../reference/int4-search.js'
import { notFinite, type WeightShape } from '../../reference/quantize.js'
import { searchInt4Share } from '../../reference/search-int4.js'
import { newArray, readFloats, type Tensor } from '../../tensor.js'
import { viewOf } from '../../views.js'

export interface QuantizeInt4Options extends WeightShape {
  /**
   * How much each input counts, float64 [K], not negative: the mean squares of the inputs that the Linear gets, up to a
   * factor. By default all inputs count alike.
   */
  moments?: Float64Array | undefined
}

const quantizeInt4Options: OptionNames<QuantizeInt4Options> = {
  inFeatures: true,
  outFeatures: true,
  moments: true,
}

/**
 * Quantises weights to four bits each, with a multiplier for every output channel and 32 k and a scale for every channel:
 * the errors' squares, weighted with the moments, are searched to be least. It takes tens of microseconds for 32 weights,
 * on the calling thread.
 *
 * @param w float32 or bfloat16 [N, K], row-major as in `nn.Linear`
 * @returns weight and scale, float32 [N]
 * @throws ArgumentError if the lengths do not fit, a weight is NaN or infinite, or a moment is negative or not finite
 */
export function quantizeInt4(
  w: Float32Array | Tensor<'float32'> | Tensor<'bfloat16'>,
  options: QuantizeInt4Options,
): { weight: Int4Weight; scale: Float32Array } {
  const checked = checkOptions(options, quantizeInt4Options)
  const { inFeatures: K, outFeatures: N } = checked
  checkInteger('inFeatures', K, 1, MAX_K)
  checkInteger('outFeatures', N, 1, 2 ** 31 - 1)
  const elements = readFloats('w', w)
  if (elements.length !== N * K) {
    throw new ArgumentError('w', `${N} * ${K} elements`, describe(elements))
  }
  const moments = checked.moments === undefined ? undefined : copyMoments(checked.moments, K)
  const stride = int4Strides(K)
  const weight = {
    nibbles: newArray(Uint8Array, N * stride.nibbles),
    multipliers: newArray(Int8Array, N * stride.multipliers),
  }
  const scale = newArray(Float32Array, N)
  const floats = elements instanceof Float32Array ? elements : bf16ToFloat32(elements)
  const importance = importanceOf(K, moments)
  const task = { ...weight, weight: floats, stride: K, inFeatures: K, importance, scale }
  const fault = searchInt4Share({ ...task, part: 0, parts: 1 })
  if (fault > 0) throw notFinite('w', fault - 1)
  return { weight, scale }
}

function copyMoments(moments: unknown, K: number): Float64Array {
  const copy = viewOf(Float64Array, moments)?.slice()
  if (copy?.length !== K) {
    throw new ArgumentError('moments', `a Float64Array of ${K} elements`, describe(moments))
  }
  const bad = copy.findIndex((h) => !(h >= 0 && Number.isFinite(h)))
  if (bad < 0) return copy
  throw new ArgumentError('moments', 'finite, not negative', `${copy[bad]} at index ${bad}`)
}

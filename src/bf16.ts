import { ArgumentError, describe } from './errors.js'
import { type ViewClass, viewOf } from './views.js'

/*
 * bfloat16 is the upper half of a float32. Widening is exact; narrowing rounds to nearest, ties to
 * even, and keeps NaN a NaN. In JavaScript a bfloat16 array is a Uint16Array of its bits.
 */

const word = new Uint32Array(1)
const float = new Float32Array(word.buffer)

/** Widens one bfloat16's bits to float32. Throws an ArgumentError if they are not a number. */
export function bf16ToFloat(bits: number): number {
  if (typeof bits !== 'number') throw new ArgumentError('bits', 'a number', describe(bits))
  word[0] = bits << 16
  return float[0]
}

/**
 * Returns the bits of the bfloat16 nearest to `value`, ties to even; 0x7fc0 for NaN. Throws an ArgumentError if it is
 * not a number.
 */
export function floatToBf16(value: number): number {
  if (typeof value !== 'number') throw new ArgumentError('value', 'a number', describe(value))
  float[0] = value
  if (Number.isNaN(value)) return 0x7fc0
  return ((word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16) & 0xffff
}

/**
 * Widens bfloat16 bits to float32, element by element.
 *
 * @param bits bfloat16 bits
 * @param out where to write, at least as long; a new array by default
 * @throws ArgumentError
 */
export function bf16ToFloat32(bits: Uint16Array, out?: Float32Array): Float32Array {
  const from = readElements('bits', Uint16Array, bits)
  const result = out ?? new Float32Array(from.length)
  const to = readElements('out', Float32Array, result, from.length)
  const words = new Uint32Array(to.buffer, to.byteOffset, from.length)
  for (let i = 0; i < from.length; i++) words[i] = from[i] << 16
  return result
}

/**
 * Narrows float32 to bfloat16 bits, element by element, rounding to nearest, ties to even.
 *
 * @param values float32 values
 * @param out where to write, at least as long; a new array by default
 * @throws ArgumentError
 */
export function float32ToBf16(values: Float32Array, out?: Uint16Array): Uint16Array {
  const from = readElements('values', Float32Array, values)
  const result = out ?? new Uint16Array(from.length)
  const to = readElements('out', Uint16Array, result, from.length)
  for (let i = 0; i < from.length; i++) to[i] = floatToBf16(from[i])
  return result
}

/** Returns a new view of an array; throws an ArgumentError if it is of another class, or shorter than `least`. */
function readElements<View extends { readonly length: number }>(
  argument: string,
  View: ViewClass<View>,
  array: unknown,
  least = 0,
): View {
  const view = viewOf(View, array)
  if (view !== undefined && view.length >= least) return view
  throw new ArgumentError(argument, `a ${View.name} of at least ${least} elements`, describe(array))
}

/*
 * bfloat16 is the upper half of a float32. Widening is exact; narrowing rounds to nearest, ties to
 * even, and keeps NaN a NaN. In JavaScript a bfloat16 array is a Uint16Array of its bits.
 */

const word = new Uint32Array(1)
const float = new Float32Array(word.buffer)

/** The float32 value of one bfloat16's bits. */
export function bf16ToFloat(bits: number): number {
  word[0] = bits << 16
  return float[0]
}

/** The bits of the bfloat16 nearest to `value`, ties to even; NaN gives 0x7fc0. */
export function floatToBf16(value: number): number {
  float[0] = value
  if (Number.isNaN(value)) return 0x7fc0
  return ((word[0] + 0x7fff + ((word[0] >>> 16) & 1)) >>> 16) & 0xffff
}

/**
 * Widens bfloat16 bits to float32, element by element.
 *
 * @param bits bfloat16 bits
 * @param out where to write, at least as long; a new array by default
 */
export function bf16ToFloat32(
  bits: Uint16Array,
  out: Float32Array = new Float32Array(bits.length),
): Float32Array {
  const words = new Uint32Array(out.buffer, out.byteOffset, bits.length)
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16
  return out
}

/**
 * Narrows float32 to bfloat16 bits, element by element, rounding to nearest, ties to even.
 *
 * @param values float32 values
 * @param out where to write, at least as long; a new array by default
 */
export function float32ToBf16(
  values: Float32Array,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  for (let i = 0; i < values.length; i++) out[i] = floatToBf16(values[i])
  return out
}

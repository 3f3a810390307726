/*
 * float16 is IEEE 754 binary16: 1 sign bit, 5 exponent bits, 10 fraction bits. Every value is a
 * float32 too. In JavaScript a float16 array is a Uint16Array of its bits.
 */

let table: Uint32Array | undefined
let floats: Float32Array

/** The bits of the float32 that equals each float16, at the float16's bits. */
function widened(): Uint32Array {
  if (table !== undefined) return table
  table = Uint32Array.from({ length: 1 << 16 }, (_, half) => widenedBits(half))
  floats = new Float32Array(table.buffer)
  return table
}

/** Widens one float16's bits to float32. */
export function f16ToFloat(bits: number): number {
  widened()
  return floats[bits]
}

/**
 * Widens float16 bits to float32, element by element, exactly.
 *
 * @param bits float16 bits
 * @param out where to write, at least as long; a new array by default
 */
export function f16ToFloat32(
  bits: Uint16Array,
  out: Float32Array = new Float32Array(bits.length),
): Float32Array {
  const table = widened()
  const words = new Uint32Array(out.buffer, out.byteOffset, bits.length)
  for (let i = 0; i < bits.length; i++) words[i] = table[bits[i]]
  return out
}

/** The bits of the float32 that equals one float16; a NaN keeps its payload. */
function widenedBits(half: number): number {
  const sign = (half >>> 15) * 2 ** 31
  const exponent = (half >>> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return sign + (0xff << 23) + (fraction << 13)
  if (exponent > 0) return sign + ((exponent - 15 + 127) << 23) + (fraction << 13)
  if (fraction === 0) return sign
  // a subnormal: fraction * 2^-24, which float32 holds as a normal number
  const lead = 31 - Math.clz32(fraction)
  return sign + ((lead - 24 + 127) << 23) + ((fraction << (23 - lead)) & 0x7fffff)
}

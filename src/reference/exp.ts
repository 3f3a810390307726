/*
 * e^x in the float32 steps of native/src/kernels/float/exp.h, so that TypeScript gives the bits of every kernel.
 */

const { fround } = Math
const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

const LOG2_E = fround(Math.LOG2E)
const ROUNDER = 12582912
const ROUNDER_BITS = 0x4b400000
const LN2_HIGH = fround(0.693359375)
const LN2_LOW = fround(-2.1219444e-4)
const COEFFICIENTS = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
  5.0000001201e-1,
].map(fround)

/** e^x, x clamped to [-87, 88]; below 2 ulp off. */
export function exp(value: number): number {
  const x = Math.min(88, Math.max(-87, value))
  const shifted = fround(fround(x * LOG2_E) + ROUNDER)
  const n = fround(shifted - ROUNDER)
  const high = fround(x - fround(n * LN2_HIGH))
  const r = fround(high - fround(n * LN2_LOW))
  let p = COEFFICIENTS[0]
  for (let i = 1; i < COEFFICIENTS.length; i++) p = fround(fround(p * r) + COEFFICIENTS[i])
  p = fround(fround(p * fround(r * r)) + r)
  p = fround(p + 1)
  float[0] = shifted
  bits[0] = (bits[0] - ROUNDER_BITS + 127) << 23
  return fround(p * float[0])
}

/** 1 / (1 + e^-x) */
export function sigmoid(x: number): number {
  return fround(1 / fround(1 + exp(-x)))
}

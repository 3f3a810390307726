/*
 * Rotary position embedding, https://arxiv.org/abs/2104.09864, in the half-split pairing of the
 * Hugging Face layout: element i turns with element i + D/2, i < D/2, by the angle p * theta^(-2i/D).
 *
 *   y[i]       = x[i] * cos - x[i + D/2] * sin
 *   y[i + D/2] = x[i + D/2] * cos + x[i] * sin
 */

/** Cosines and sines of the angles of consecutive positions, each float32 [positions, D/2]. */
export interface Rotation {
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/** theta^(-2i/D) for i < D/2, radians per position. */
export function ropeFrequencies(headDim: number, theta: number): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim))
}

/**
 * The rotation of `count` positions from `start` on. Angles are rounded to float32, as the published
 * implementations do.
 */
export function rotationAt(frequencies: Float32Array, start: number, count: number): Rotation {
  const half = frequencies.length
  const cos = new Float32Array(count * half)
  const sin = new Float32Array(count * half)
  for (let m = 0; m < count; m++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround((start + m) * frequencies[i])
      cos[m * half + i] = Math.cos(angle)
      sin[m * half + i] = Math.sin(angle)
    }
  }
  return { cos, sin }
}

/**
 * Rotates every head of every row, in place.
 *
 * @param x float32 [M, heads, D]
 * @param headDim D
 * @param rotation of M positions: row m takes position m
 */
export function rotate(x: Float32Array, headDim: number, { cos, sin }: Rotation): void {
  const half = headDim / 2
  const rowLength = (x.length / cos.length) * half
  for (let at = 0; at < x.length; at += headDim) {
    const position = Math.floor(at / rowLength) * half
    for (let i = 0; i < half; i++) {
      const c = cos[position + i]
      const s = sin[position + i]
      const a = x[at + i]
      const b = x[at + half + i]
      x[at + i] = a * c - b * s
      x[at + half + i] = b * c + a * s
    }
  }
}

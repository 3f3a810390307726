/**
 * A vector's first elements, scaled to length 1: x / |x|. Models that are trained for it (Matryoshka representations,
 * https://arxiv.org/abs/2205.13147) put most into the first.
 */
export function toUnitVector(x: Float32Array, dimensions: number): Float32Array<ArrayBuffer> {
  const first = x.slice(0, dimensions)
  const length = Math.sqrt(first.reduce((sum, value) => sum + value * value, 0))
  // as PyTorch's normalize has it: zeros stay zeros
  const scale = 1 / Math.max(length, 1e-12)
  return first.map((value) => value * scale) as Float32Array<ArrayBuffer>
}

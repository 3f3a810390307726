const { fround } = Math

/**
 * sum_i values[i] in the order of every kernel: sixteen running sums, of which lanes l and l + 8 are
 * added first, then l and l + 4, l and l + 2, 0 and 1. Each step is one float32 operation.
 *
 * @param values float32 values, any number
 */
export function sum16(values: Float32Array): number {
  const lanes = new Float32Array(16)
  for (let i = 0; i < values.length; i++) lanes[i % 16] += values[i]
  for (let width = 8; width >= 1; width /= 2) {
    for (let l = 0; l < width; l++) lanes[l] += lanes[l + width]
  }
  return fround(lanes[0])
}

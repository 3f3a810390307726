/*
 * The one order in which float32 is summed: sixteen running sums, lane l of elements l, l + 16, l + 32 ...;
 * then l and l + 8 are added, l and l + 4, l and l + 2, 0 and 1. See native/src/kernels/float/sum16.h.
 */

const LANES = 16
const lanes = new Float32Array(LANES)

/** Elements from one row of float weights to the next: whole lanes. */
export function denseStride(inFeatures: number): number {
  return Math.ceil(inFeatures / LANES) * LANES
}

function sumLanes(): number {
  for (let width = LANES / 2; width >= 1; width /= 2) {
    for (let l = 0; l < width; l++) lanes[l] += lanes[l + width]
  }
  return lanes[0]
}

/** sum_i values[i] */
export function sum16(values: Float32Array): number {
  lanes.fill(0)
  for (let i = 0; i < values.length; i++) lanes[i % LANES] += values[i]
  return sumLanes()
}

/** sum_i a[i] * b[i], of two arrays of one length. */
export function dot16(a: Float32Array, b: Float32Array): number {
  lanes.fill(0)
  for (let i = 0; i < a.length; i++) lanes[i % LANES] += Math.fround(a[i] * b[i])
  return sumLanes()
}

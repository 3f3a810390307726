import type { WeightSource } from '../../ops/weight.js'

/** Rows of a weight w[n, k] = v[n, k] * s[n, group of k]. */
export interface GroupedRows {
  /** v: int8 [rows, K], in [-15, 15], in shared memory. */
  readonly levels: Int8Array
  /** s: float32 [rows, G], in shared memory. */
  readonly scales: Float32Array
}

/**
 * A weight [N, K] in four bits with a float scale for each output channel and group of inputs, as other tools store it.
 * Zero points are taken off already.
 */
export interface GroupedWeight {
  /** The group of each input: int32 [K], in [0, G). */
  readonly groupOf: Int32Array
  /** Reads the output channels [first, last). */
  read(first: number, last: number): Promise<GroupedRows>
}

/** The weight in float32. A product of four bits and a 16-bit scale is exact. */
export class GroupedFloats implements WeightSource {
  readonly bytesPerElement = Float32Array.BYTES_PER_ELEMENT
  readonly #weight: GroupedWeight

  constructor(weight: GroupedWeight) {
    this.#weight = weight
  }

  async read(first: number, last: number): Promise<Float32Array> {
    const { groupOf } = this.#weight
    const { levels, scales } = await this.#weight.read(first, last)
    const K = groupOf.length
    const groups = scales.length / (last - first)
    const floats = new Float32Array(levels.length)
    for (let row = 0, i = 0; row < last - first; row++) {
      for (let k = 0; k < K; k++, i++) floats[i] = levels[i] * scales[row * groups + groupOf[k]]
    }
    return floats
  }
}

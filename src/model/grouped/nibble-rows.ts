import { INT4_OFFSET } from '../../reference/int4.js'
import type { GroupedRows, GroupedWeight } from './grouped-weight.js'

/** What {@link NibbleRows} reads. */
export interface NibbleParts {
  /** int32 [K] */
  readonly groupOf: Int32Array
  /** float32 [N, G], in shared memory */
  readonly scales: Float32Array
  /** uint8 [N, G]; 8 where there are none */
  readonly zeros: Uint8Array | undefined
  /** Bytes of nibbles of an output channel. */
  readonly rowBytes: number
  /** Reads nibbles u: uint8 [last - first, rowBytes], an even input in the low half of its byte. */
  nibbles(first: number, last: number): Uint8Array | Promise<Uint8Array>
}

/** A weight whose nibbles lie in the order of inputs, channel by channel: (u - zero) * scale. */
export class NibbleRows implements GroupedWeight {
  readonly groupOf: Int32Array
  readonly #parts: NibbleParts
  readonly #groups: number

  /** @param outFeatures N */
  constructor(outFeatures: number, parts: NibbleParts) {
    this.groupOf = parts.groupOf
    this.#parts = parts
    this.#groups = parts.scales.length / outFeatures
  }

  async read(first: number, last: number): Promise<GroupedRows> {
    const { groupOf, scales, zeros, rowBytes } = this.#parts
    const groups = this.#groups
    const nibbles = await this.#parts.nibbles(first, last)
    const K = groupOf.length
    const levels = new Int8Array(new SharedArrayBuffer((last - first) * K))
    for (let row = 0, i = 0; row < last - first; row++) {
      const zerosAt = (first + row) * groups
      for (let k = 0; k < K; k++, i++) {
        const u = (nibbles[row * rowBytes + (k >> 1)] >> (4 * (k & 1))) & 15
        levels[i] = u - (zeros === undefined ? INT4_OFFSET : zeros[zerosAt + groupOf[k]])
      }
    }
    return { levels, scales: scales.subarray(first * groups, last * groups) }
  }
}

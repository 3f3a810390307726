import { bf16ToFloat, floatToBf16 } from '../bf16.js'
import { PAGE } from '../native/layout.js'
import { quantizeRow } from './quantize.js'

/*
 * A page holds the keys and values of 64 positions, for each layer one head after the other, each:
 *
 *   keys T [64 / 16][D / P][16][P], values T [64 / P][D][P]; for int8 then float32 key scales [64] and
 *   value scales [64]
 *
 * Sixteen positions' keys lie side by side, so that a kernel's lanes are positions there; for values its
 * lanes are d. P is 2 for bfloat16: what a lane takes one after the other fills a word of 32 bits, which
 * is cheap to take apart; 1 otherwise. native/src/kv_page.h has the same in C.
 */

export { PAGE }

const GROUP = 16

/** How keys and values are kept; int8 has a scale for each position and head. */
export type CacheType = 'float32' | 'bfloat16' | 'int8'

const elementBytes: Record<CacheType, number> = { float32: 4, bfloat16: 2, int8: 1 }

/** Bytes of one head of one layer. */
export function headBytes(type: CacheType, headDim: number): number {
  const scales = type === 'int8' ? 2 * PAGE * Float32Array.BYTES_PER_ELEMENT : 0
  return 2 * PAGE * headDim * elementBytes[type] + scales
}

/** Bytes of a page: `layers` times `kvHeads` heads. A layer's offset is that of a page of the layers before. */
export function pageBytes(
  type: CacheType,
  headDim: number,
  kvHeads: number,
  layers: number,
): number {
  return layers * kvHeads * headBytes(type, headDim)
}

/** The keys and values of one head of one layer in a page. */
export class PageHead {
  readonly #headDim: number
  /** P */
  readonly #packed: number
  readonly #elements: Float32Array | Uint16Array | Int8Array
  /** Key scales, then value scales; empty unless int8. */
  readonly #scales: Float32Array

  /** @param offset in the page, bytes: the layer's offset and the heads before */
  constructor(page: Uint8Array, offset: number, type: CacheType, headDim: number) {
    const { buffer, byteOffset } = page
    const at = byteOffset + offset
    const count = 2 * PAGE * headDim
    this.#headDim = headDim
    this.#packed = type === 'bfloat16' ? 2 : 1
    if (type === 'float32') this.#elements = new Float32Array(buffer, at, count)
    else if (type === 'bfloat16') this.#elements = new Uint16Array(buffer, at, count)
    else this.#elements = new Int8Array(buffer, at, count)
    const end = at + count * elementBytes[type]
    this.#scales = new Float32Array(buffer, end, type === 'int8' ? 2 * PAGE : 0)
  }

  /** Element d of the key at a position of the page, for int8 without its scale. */
  key(position: number, d: number): number {
    return this.#element(this.#keyIndex(position, d))
  }

  /** Element d of the value at a position of the page, for int8 without its scale. */
  value(position: number, d: number): number {
    return this.#element(this.#valueIndex(position, d))
  }

  /** The scale of a key; undefined unless int8. */
  keyScale(position: number): number | undefined {
    return this.#scales[position]
  }

  /** The scale of a value; undefined unless int8. */
  valueScale(position: number): number | undefined {
    return this.#scales[PAGE + position]
  }

  /**
   * Puts a key and a value where they belong, rounded to the page's type.
   *
   * @param k float32 [D]
   * @param v float32 [D]
   */
  store(position: number, k: Float32Array, v: Float32Array): void {
    this.#write(k, position, (d) => this.#keyIndex(position, d))
    this.#write(v, PAGE + position, (d) => this.#valueIndex(position, d))
  }

  #keyIndex(position: number, d: number): number {
    const P = this.#packed
    const group = Math.floor(position / GROUP)
    const word = (group * (this.#headDim / P) + Math.floor(d / P)) * GROUP + (position % GROUP)
    return word * P + (d % P)
  }

  #valueIndex(position: number, d: number): number {
    const P = this.#packed
    const word = (PAGE / P + Math.floor(position / P)) * this.#headDim + d
    return word * P + (position % P)
  }

  #element(index: number): number {
    const element = this.#elements[index]
    return this.#elements instanceof Uint16Array ? bf16ToFloat(element) : element
  }

  #write(x: Float32Array, scale: number, indexOf: (d: number) => number): void {
    const elements = this.#elements
    if (elements instanceof Int8Array) {
      const q = new Int8Array(x.length)
      this.#scales[scale] = quantizeRow(x, q)
      for (let d = 0; d < x.length; d++) elements[indexOf(d)] = q[d]
    } else if (elements instanceof Uint16Array) {
      for (let d = 0; d < x.length; d++) elements[indexOf(d)] = floatToBf16(x[d])
    } else {
      for (let d = 0; d < x.length; d++) elements[indexOf(d)] = x[d]
    }
  }
}

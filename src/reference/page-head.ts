import { bf16ToFloat, floatToBf16 } from '../bf16.js'
import { type CacheType, elementBytes, GROUP, PAGE } from '../layouts/kv-page.js'
import { quantizeRow } from './quantize.js'

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

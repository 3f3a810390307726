import { InternalError } from '../../errors.js'
import { PAGE } from '../../layouts/kv-page.js'
import type { Pool } from '../../pool/pool.js'
import type { Page, PagePool } from './page.js'

/** Tokens, and the pages that hold the keys and values of the first of them. */
export class Sequence {
  /** Grows with the request that owns it. */
  readonly tokens: readonly number[]
  /** How many of the tokens have keys and values in the pages. */
  computed = 0
  readonly pages: Page[] = []
  /** Where C finds the table of the pages' addresses, dp_pages. */
  readonly tableAddress: number
  readonly #capacity: number
  readonly #table: BigUint64Array
  readonly #pagePool: PagePool
  #steps = 0
  #isReleased = false

  /**
   * @param capacity the most tokens it may hold
   * @throws OutOfMemoryError
   */
  constructor(pool: Pool, pagePool: PagePool, tokens: readonly number[], capacity: number) {
    const most = Math.ceil(capacity / PAGE)
    const bytes = pool.memory.bytes((1 + most) * 8)
    this.tokens = tokens
    this.tableAddress = pool.addressOf(bytes)
    this.#capacity = capacity
    this.#table = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8)
    this.#table[0] = BigInt(most)
    this.#pagePool = pagePool
  }

  /** Whether a step reads or writes its pages. */
  get isBusy(): boolean {
    return this.#steps > 0
  }

  /**
   * Takes over the keys and values of another sequence that begins with the same tokens. Whole pages are shared; a
   * last one is copied, for both write on. False where there is no page for the copy: the whole ones are shared then.
   *
   * @param count tokens that both begin with, of which `other` has keys and values
   */
  share(other: Sequence, count: number): boolean {
    const whole = Math.floor(count / PAGE)
    for (const page of other.pages.slice(this.pages.length, whole)) {
      page.holders++
      this.#append(page)
    }
    this.computed = whole * PAGE
    if (count === this.computed) return true
    const copy = this.#pagePool.take()
    if (copy === undefined) return false
    copy.bytes.set(other.pages[whole].bytes)
    this.#append(copy)
    this.computed = count
    return true
  }

  /** Makes room for so many tokens in all. False where no page can be had; pages that could stay with the sequence. */
  reserve(count: number): boolean {
    if (count > this.#capacity) {
      throw new InternalError(`${count} tokens in a sequence of ${this.#capacity}`)
    }
    while (this.pages.length * PAGE < count) {
      const page = this.#pagePool.take()
      if (page === undefined) return false
      this.#append(page)
    }
    return true
  }

  /** Between this and {@link leave} a step reads and writes its pages. */
  enter(): void {
    this.#steps++
  }

  leave(): void {
    this.#steps--
    if (!this.isBusy && this.#isReleased) this.#releasePages()
  }

  /** Releases the pages as soon as no step uses them. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    if (!this.isBusy) this.#releasePages()
  }

  #append(page: Page): void {
    this.#table[1 + this.pages.length] = BigInt(page.address)
    this.pages.push(page)
  }

  #releasePages(): void {
    for (const page of this.pages.splice(0)) this.#pagePool.release(page)
  }
}

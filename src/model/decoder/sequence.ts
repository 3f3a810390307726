import { InternalError } from '../../errors.js'
import { PAGE } from '../../layouts/kv-page.js'
import type { Pool } from '../../pool/pool.js'
import type { Page, PagePool } from './page.js'

/** The ids that one text has run through the network so far, and where their keys and values lie. */
export class Sequence {
  /** The ids whose keys and values the pages hold. */
  readonly ids: number[] = []
  /** The most ids it may hold. */
  readonly capacity: number
  readonly pages: Page[] = []
  /** Where C finds the table of the pages' addresses, dp_pages. */
  readonly tableAddress: number
  readonly #table: BigUint64Array
  readonly #pagePool: PagePool
  #steps = 0
  #released = false

  constructor(pool: Pool, pagePool: PagePool, capacity: number) {
    const most = Math.ceil(capacity / PAGE)
    const bytes = pool.memory.bytes((1 + most) * 8)
    this.capacity = capacity
    this.tableAddress = pool.addressOf(bytes)
    this.#table = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8)
    this.#table[0] = BigInt(most)
    this.#pagePool = pagePool
  }

  /** Begins with the first `count` ids of another sequence, sharing its pages. Of a new sequence. */
  fork(other: Sequence, count: number): void {
    const whole = Math.floor(count / PAGE)
    for (const page of other.pages.slice(0, whole)) {
      page.holders++
      this.#append(page)
    }
    // the last page is written on by both
    if (count % PAGE > 0) this.#append(this.#pagePool.copy(other.pages[whole]))
    for (let i = 0; i < count; i++) this.ids.push(other.ids[i])
  }

  /** Makes room for so many more ids. */
  reserve(count: number): void {
    if (this.ids.length + count > this.capacity) {
      throw new InternalError(`${this.ids.length + count} tokens in a sequence of ${this.capacity}`)
    }
    while (this.pages.length * PAGE < this.ids.length + count) this.#append(this.#pagePool.take())
  }

  /** Between this and {@link leave} workers read and write its pages. */
  enter(): void {
    this.#steps++
  }

  leave(): void {
    this.#steps--
    if (this.#steps === 0 && this.#released) this.#giveBack()
  }

  /** Lets go of the pages, as soon as no worker uses them. */
  release(): void {
    if (this.#released) return
    this.#released = true
    if (this.#steps === 0) this.#giveBack()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  #append(page: Page): void {
    this.#table[1 + this.pages.length] = BigInt(page.address)
    this.pages.push(page)
  }

  #giveBack(): void {
    for (const page of this.pages.splice(0)) this.#pagePool.give(page)
  }
}

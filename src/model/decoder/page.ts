import type { Pool } from '../../pool/pool.js'

/** Keys and values of some consecutive positions, for all layers. Sequences that begin alike share it. */
export interface Page {
  readonly bytes: Uint8Array<SharedArrayBuffer>
  /** Where C finds it. */
  readonly address: number
  /** How many sequences hold it. */
  holders: number
}

/** The pages of one model. */
export class PagePool {
  readonly pageBytes: number
  readonly #pool: Pool
  readonly #mostFree: number
  readonly #free: Page[] = []

  /** @param mostFree how many free pages are kept for the next sequence rather than given back to the system */
  constructor(pool: Pool, pageBytes: number, mostFree: number) {
    this.#pool = pool
    this.pageBytes = pageBytes
    this.#mostFree = mostFree
  }

  /** A page with anything in it. */
  take(): Page {
    const page = this.#free.pop() ?? this.#make()
    page.holders = 1
    return page
  }

  /** A page with the same in it, which the caller may write to. */
  copy(page: Page): Page {
    const copy = this.take()
    copy.bytes.set(page.bytes)
    return copy
  }

  /** Lets go of a page that {@link take} gave or that was shared. */
  give(page: Page): void {
    page.holders--
    if (page.holders === 0 && this.#free.length < this.#mostFree) this.#free.push(page)
  }

  #make(): Page {
    const bytes = this.#pool.memory.bytes(this.pageBytes)
    return { bytes, address: this.#pool.addressOf(bytes), holders: 0 }
  }
}

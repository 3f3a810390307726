/** Pages of a worker's KV cache: those that requests use, and those that are kept for others to share. */
export class KvCache {
  /** By the hash of what a page ends; how many requests use it. */
  readonly #used = new Map<number, number>()
  /** Pages that none uses; what was released least recently comes first. */
  readonly #kept = new Set<number>()
  #free: number

  constructor(pages: number) {
    this.#free = pages
  }

  /** How many of these pages, each of which goes on where the one before ends, are there. */
  find(chain: readonly number[]): number {
    let count = 0
    while (count < chain.length && (this.#used.has(chain[count]) || this.#kept.has(chain[count]))) {
      count++
    }
    return count
  }

  /**
   * Takes pages for a request: the first `shared` of a chain, which are there, and others for what is to be computed. Kept
   * pages give way. False, and nothing happens, where there are too few.
   */
  take(chain: readonly number[], shared: number, others: number): boolean {
    for (let i = 0; i < shared; i++) this.#use(chain[i])
    if (this.#free + this.#kept.size < others) {
      for (let i = shared - 1; i >= 0; i--) this.#leave(chain[i])
      return false
    }
    for (const hash of this.#kept) {
      if (this.#free >= others) break
      this.#kept.delete(hash)
      this.#free++
    }
    this.#free -= others
    return true
  }

  /** A request has computed pages of a chain: others may share them. */
  publish(chain: readonly number[], from: number, to: number): void {
    for (let i = from; i < to; i++) {
      // another may have computed the same meanwhile
      if (this.#used.has(chain[i]) || this.#kept.has(chain[i])) this.#free++
      this.#use(chain[i])
    }
  }

  /** A request has ended: its published pages are kept, and the others free. */
  release(chain: readonly number[], others: number): void {
    // the last page is the first to give way
    for (let i = chain.length - 1; i >= 0; i--) this.#leave(chain[i])
    this.#free += others
  }

  #use(hash: number): void {
    this.#kept.delete(hash)
    this.#used.set(hash, (this.#used.get(hash) ?? 0) + 1)
  }

  #leave(hash: number): void {
    const users = (this.#used.get(hash) ?? 0) - 1
    if (users > 0) {
      this.#used.set(hash, users)
    } else {
      this.#used.delete(hash)
      this.#kept.add(hash)
    }
  }
}

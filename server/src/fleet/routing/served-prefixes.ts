/** The prefixes that a worker was given since its last announcement, for the next: a bounded number. */
export class ServedPrefixes {
  /** Each once. */
  readonly #hashes = new Set<number>()
  readonly #max: number

  /** @param max hashes of an announcement; others are left out, for an announcement is a hint */
  constructor(max = 1024) {
    this.#max = max
  }

  /** A request with this prompt was taken. */
  add(hashes: readonly number[]): void {
    for (const hash of hashes) {
      if (this.#hashes.size >= this.#max) return
      this.#hashes.add(hash)
    }
  }

  /** What there is to announce; begins anew. */
  take(): number[] {
    const hashes = [...this.#hashes]
    this.#hashes.clear()
    return hashes
  }
}

/** Workers that were sent a prefix or have announced it, and when they last did. */
type Holders = Map<string, number>

/**
 * Which workers probably have which prefixes in their cache. It forgets what was not used for a while, and is bounded.
 *
 * What was used lately is in the young generation. When that is as old as an entry may get, or full, it becomes the old
 * one, and what was old is dropped: no entry is visited to be forgotten.
 */
export class PrefixIndex {
  #young = new Map<number, Holders>()
  #old = new Map<number, Holders>()
  #youngEntries = 0
  #oldEntries = 0
  /** When the young generation began. */
  #begun = Number.NEGATIVE_INFINITY
  readonly #lifeMillis: number
  readonly #maxEntries: number

  /**
   * @param lifeMillis how long after its last use a worker is taken to have a prefix
   * @param maxEntries pairs of a prefix and a worker, at most; at least half as many are kept
   */
  constructor(lifeMillis: number, maxEntries: number) {
    this.#lifeMillis = lifeMillis
    this.#maxEntries = maxEntries
  }

  /** Pairs of a prefix and a worker. */
  get entries(): number {
    return this.#youngEntries + this.#oldEntries
  }

  /** Remembers that a worker has these prefixes. */
  add(hashes: readonly number[], worker: string, now: number): void {
    const isFull = this.#youngEntries + hashes.length > this.#maxEntries / 2
    if (isFull || now - this.#begun > this.#lifeMillis) this.#age(now)
    for (const hash of hashes) {
      const holders: Holders = this.#young.get(hash) ?? new Map()
      if (holders.size === 0) this.#young.set(hash, holders)
      if (!holders.has(worker)) this.#youngEntries++
      holders.set(worker, now)
    }
  }

  /** How many of these prefixes, each of which contains the one before, a worker has. */
  depth(hashes: readonly number[], worker: string, now: number): number {
    let low = 0
    let high = hashes.length
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#has(hashes[middle - 1], worker, now)) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Workers that have any of these prefixes, those that have the most first, by how many they have. */
  *holders(hashes: readonly number[], now: number): Generator<[depth: number, workers: string[]]> {
    const seen = new Set<string>()
    for (let depth = hashes.length; depth > 0; depth--) {
      const workers: string[] = []
      for (const generation of [this.#young, this.#old]) {
        for (const [worker, used] of generation.get(hashes[depth - 1]) ?? []) {
          if (seen.has(worker) || now - used > this.#lifeMillis) continue
          seen.add(worker)
          workers.push(worker)
        }
      }
      if (workers.length > 0) yield [depth, workers]
    }
  }

  /** Forgets a worker. */
  remove(worker: string): void {
    for (const holders of this.#young.values()) if (holders.delete(worker)) this.#youngEntries--
    for (const holders of this.#old.values()) if (holders.delete(worker)) this.#oldEntries--
  }

  #age(now: number): void {
    this.#old = this.#young
    this.#oldEntries = this.#youngEntries
    this.#young = new Map()
    this.#youngEntries = 0
    this.#begun = now
  }

  #has(hash: number, worker: string, now: number): boolean {
    const used = this.#young.get(hash)?.get(worker) ?? this.#old.get(hash)?.get(worker)
    return used !== undefined && now - used <= this.#lifeMillis
  }
}

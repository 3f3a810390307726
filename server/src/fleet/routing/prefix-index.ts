/** Who was sent a prefix or has announced it, and when, in the order of times. */
type Holders = Map<string, number>

/** Which workers probably have which prefixes in their cache. It is bounded, and forgets what was not used for a while. */
export class PrefixIndex {
  /** By hash; what was touched least recently comes first. */
  readonly #holders = new Map<number, Holders>()
  readonly #lifeMillis: number
  readonly #maxEntries: number
  #entries = 0

  /**
   * @param lifeMillis how long after its last use a worker is taken to have a prefix
   * @param maxEntries pairs of a prefix and a worker; beyond, the least recently used prefixes go
   */
  constructor(lifeMillis: number, maxEntries: number) {
    this.#lifeMillis = lifeMillis
    this.#maxEntries = maxEntries
  }

  /** Pairs of a prefix and a worker. */
  get entries(): number {
    return this.#entries
  }

  /** Remembers that a worker has these prefixes, each of which contains the one before. */
  add(hashes: readonly number[], worker: string, now: number): void {
    // the longest first, so that no prefix outlives a shorter one
    for (let i = hashes.length - 1; i >= 0; i--) {
      const holders: Holders = this.#holders.get(hashes[i]) ?? new Map()
      this.#holders.delete(hashes[i])
      this.#holders.set(hashes[i], holders)
      if (!holders.delete(worker)) this.#entries++
      holders.set(worker, now)
      this.#forgetExpired(holders, now)
    }
    for (const [hash, holders] of this.#holders) {
      this.#forgetExpired(holders, now)
      if (holders.size > 0 && this.#entries <= this.#maxEntries) return
      this.#entries -= holders.size
      this.#holders.delete(hash)
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
      for (const [worker, touched] of this.#holders.get(hashes[depth - 1]) ?? []) {
        if (seen.has(worker) || now - touched > this.#lifeMillis) continue
        seen.add(worker)
        workers.push(worker)
      }
      if (workers.length > 0) yield [depth, workers]
    }
  }

  /** Forgets a worker. */
  remove(worker: string): void {
    for (const [hash, holders] of this.#holders) {
      if (holders.delete(worker)) this.#entries--
      if (holders.size === 0) this.#holders.delete(hash)
    }
  }

  #has(hash: number, worker: string, now: number): boolean {
    const touched = this.#holders.get(hash)?.get(worker)
    return touched !== undefined && now - touched <= this.#lifeMillis
  }

  #forgetExpired(holders: Holders, now: number): void {
    for (const [worker, touched] of holders) {
      if (now - touched <= this.#lifeMillis) return
      holders.delete(worker)
      this.#entries--
    }
  }
}

import type { Sequence } from './sequence.js'

/** Kept sequences at most: all are searched for every prompt. */
const MAX_KEPT = 256

/** Sequences whose beginnings others may share: those that run, and those that are kept until their pages are needed. */
export class PrefixCache {
  readonly #running = new Set<Sequence>()
  /** The least recently used comes first. */
  readonly #kept = new Set<Sequence>()
  readonly #isEnabled: boolean

  /** @param isEnabled false: nothing is kept and nothing found */
  constructor(isEnabled: boolean) {
    this.#isEnabled = isEnabled
  }

  /** The sequence that begins with the most of `tokens`, and with how many. */
  find(tokens: readonly number[]): { sequence: Sequence; count: number } | undefined {
    let best: { sequence: Sequence; count: number } | undefined
    for (const sequence of [...this.#running, ...this.#kept]) {
      const count = commonPrefix(sequence, tokens)
      if (count > (best?.count ?? 0)) best = { sequence, count }
    }
    if (best !== undefined && this.#kept.delete(best.sequence)) this.#kept.add(best.sequence)
    return best
  }

  /** Lets others share what a running sequence has computed. */
  add(sequence: Sequence): void {
    if (this.#isEnabled) this.#running.add(sequence)
  }

  /** Keeps a sequence that runs no more. */
  retire(sequence: Sequence): void {
    if (this.#running.delete(sequence)) this.#kept.add(sequence)
    else sequence.release()
    if (this.#kept.size > MAX_KEPT) this.evict()
  }

  /**
   * Releases the least recently used of the kept sequences. False where there is none that no step uses.
   *
   * @param except is not to be released
   */
  evict(except?: Sequence): boolean {
    for (const sequence of this.#kept) {
      if (sequence.isBusy || sequence === except) continue
      this.#kept.delete(sequence)
      sequence.release()
      return true
    }
    return false
  }

  /** Releases all kept sequences, and lets no one share what the running ones have computed. */
  clear(): void {
    for (const sequence of this.#kept) sequence.release()
    this.#kept.clear()
    this.#running.clear()
  }
}

function commonPrefix(sequence: Sequence, tokens: readonly number[]): number {
  const most = Math.min(sequence.computed, tokens.length)
  let count = 0
  while (count < most && sequence.tokens[count] === tokens[count]) count++
  return count
}

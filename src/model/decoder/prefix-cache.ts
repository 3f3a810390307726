import type { Sequence } from './sequence.js'

/** Ended sequences that are kept at most: all are looked through for every prompt. */
const MOST_ENDED = 256

/**
 * Sequences whose beginnings others may share: those that run, and the last ones that have ended, as
 * far as their pages fit a budget.
 */
export class PrefixCache {
  readonly #running = new Set<Sequence>()
  /** The one that ended last comes last. */
  readonly #ended: Sequence[] = []
  readonly #mostPages: number

  /** @param mostPages how many pages of ended sequences are kept; one that several share counts once */
  constructor(mostPages: number) {
    this.#mostPages = mostPages
  }

  /** The sequence that begins with the most of `ids`, and with how many. */
  find(ids: ArrayLike<number>): { sequence: Sequence; count: number } | undefined {
    let best: { sequence: Sequence; count: number } | undefined
    for (const sequence of [...this.#running, ...this.#ended]) {
      const count = commonPrefix(sequence.ids, ids)
      if (count > (best?.count ?? 0)) best = { sequence, count }
    }
    return best
  }

  add(sequence: Sequence): void {
    this.#running.add(sequence)
  }

  /** The sequence has ended; from now on its pages belong to the cache. */
  retire(sequence: Sequence): void {
    if (!this.#running.delete(sequence)) return
    this.#ended.push(sequence)
    while (this.#ended.length > MOST_ENDED || this.#endedPages() > this.#mostPages) {
      this.#ended.shift()?.release()
    }
  }

  /** Lets go of all sequences. */
  clear(): void {
    for (const sequence of [...this.#running, ...this.#ended.splice(0)]) sequence.release()
    this.#running.clear()
  }

  #endedPages(): number {
    return new Set(this.#ended.flatMap(({ pages }) => pages)).size
  }
}

function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length)
  let count = 0
  while (count < most && a[count] === b[count]) count++
  return count
}

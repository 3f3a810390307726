/**
 * Looks for the first of several strings in text that comes in pieces. Text that may turn out to be
 * the beginning of one is held back until that is decided.
 */
export class StopFinder {
  readonly #stops: readonly string[]
  /** The most characters that are not yet a whole one. */
  readonly #longest: number
  #held = ''
  #found = false

  /** @param stops non-empty strings */
  constructor(stops: readonly string[]) {
    this.#stops = stops
    this.#longest = stops.reduce((longest, stop) => Math.max(longest, stop.length - 1), 0)
  }

  /** Whether one has come; the text ends before it. */
  get found(): boolean {
    return this.#found
  }

  /** Takes the next piece and gives the text that is certain by now. */
  push(piece: string): string {
    const text = this.#held + piece
    const stop = this.#firstComplete(text)
    this.#found = stop !== undefined
    const end = stop?.start ?? this.#undecided(text)
    this.#held = text.slice(end)
    return text.slice(0, end)
  }

  /** Ends the text: gives what is still held back. */
  end(): string {
    return this.#found ? '' : this.#held
  }

  /** The stop that is complete first, of several the longest; so pieces cannot change the choice. */
  #firstComplete(text: string): { start: number; end: number } | undefined {
    return this.#stops
      .map((stop) => ({ start: text.indexOf(stop), end: text.indexOf(stop) + stop.length }))
      .filter(({ start }) => start >= 0)
      .sort((a, b) => a.end - b.end || a.start - b.start)[0]
  }

  /** Where the longest suffix begins that a stop begins with. */
  #undecided(text: string): number {
    let at = Math.max(0, text.length - this.#longest)
    while (at < text.length && !this.#stops.some((stop) => stop.startsWith(text.slice(at)))) at++
    return at
  }
}

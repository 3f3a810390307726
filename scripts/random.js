/** Random choices, the same for the same seed. */
export class Random {
  #state

  /** @param {number} seed an integer below 2^53 */
  constructor(seed) {
    this.#state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x9e3779b1)) >>> 0
  }

  /** True with this probability. */
  chance(/** @type {number} */ probability) {
    return this.#next() < probability
  }

  /** An integer in [0, n). */
  below(/** @type {number} */ n) {
    return Math.floor(this.#next() * n)
  }

  /** An integer in [least, most]. */
  integer(/** @type {number} */ least, /** @type {number} */ most) {
    return least + this.below(most - least + 1)
  }

  /** A number in [least, most), each power of two as often as the next. */
  spread(/** @type {number} */ least, /** @type {number} */ most) {
    return least * (most / least) ** this.#next()
  }

  /**
   * @template T
   * @param {readonly T[]} choices at least one
   * @returns {T}
   */
  pick(choices) {
    return choices[this.below(choices.length)]
  }

  /** Numbers in [-2, 2), a few of them 20 times as large. */
  floats(/** @type {number} */ count) {
    return new Float32Array(count).map(() => (this.#next() * 4 - 2) * (this.chance(0.02) ? 20 : 1))
  }

  /** Any int8 numbers. */
  bytes(/** @type {number} */ count) {
    return new Int8Array(count).map(() => this.integer(-128, 127))
  }

  /** The next number in [0, 1), by splitmix32. */
  #next() {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32
  }
}

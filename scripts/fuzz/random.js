/** Choices that a seed decides: the same ones again for the same seed. */
export class Random {
  #state

  /** @param {number} seed an integer below 2^53 */
  constructor(seed) {
    this.#state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x9e3779b1)) >>> 0
  }

  /** The next 32 bits, as splitmix32 has them. */
  bits() {
    this.#state = (this.#state + 0x9e3779b9) >>> 0
    let z = this.#state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }

  /** @param {number} n */
  below(n) {
    return this.bits() % n
  }

  /** @param {number} n */
  oneIn(n) {
    return this.below(n) === 0
  }

  /**
   * @template T
   * @param {readonly T[]} choices at least one
   * @returns {T}
   */
  pick(choices) {
    return choices[this.below(choices.length)]
  }
}

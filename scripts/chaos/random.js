import { seededRandom } from '#src/model/generation/random.js'

/** Choices that repeat with their seed. */
export class Random {
  #next

  /** @param {() => number} next gives numbers in [0, 1) */
  constructor(next) {
    this.#next = next
  }

  /** True so often. */
  chance(/** @type {number} */ probability) {
    return this.#next() < probability
  }

  /** An integer in [least, most]. */
  integer(/** @type {number} */ least, /** @type {number} */ most) {
    return least + Math.floor(this.#next() * (most - least + 1))
  }

  /** A number in [least, most), small ones as likely as large ones: each power of two as often as the next. */
  spread(/** @type {number} */ least, /** @type {number} */ most) {
    return least * (most / least) ** this.#next()
  }

  /**
   * One of them.
   *
   * @template T
   * @param {readonly T[]} all
   * @returns {T}
   */
  pick(all) {
    return all[this.integer(0, all.length - 1)]
  }

  /** So many numbers in [-2, 2), of which few are 20 times as large. */
  floats(/** @type {number} */ count) {
    return new Float32Array(count).map(() => (this.#next() * 4 - 2) * (this.chance(0.02) ? 20 : 1))
  }

  /** Any int8 numbers. */
  bytes(/** @type {number} */ count) {
    return new Int8Array(count).map(() => this.integer(-128, 127))
  }
}

export const randomFrom = (/** @type {number} */ seed) => new Random(seededRandom(seed))

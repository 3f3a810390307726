import { setTimeout } from 'node:timers/promises'

/** @import { Random } from '../../random.js' */
/** @import { Deck, Fleet, Target } from './faults.js' */

/** Faults that may strike at once. */
const MOST_FAULTS = 3

/** Faults of an episode begin within this time. */
const SPREAD_MILLIS = 1500

/** Faults at the same time, until all is well again. Others come only after a calm while. */
export class Episode {
  start = performance.now()
  end = Number.POSITIVE_INFINITY
  #dealt
  #random

  /**
   * @param {Deck} deck
   * @param {Fleet} fleet
   * @param {Random} random
   */
  constructor(deck, fleet, random) {
    this.#dealt = deck.deal(fleet, random.integer(1, MOST_FAULTS))
    this.#random = random
  }

  get names() {
    return this.#dealt.map(({ fault }) => fault.name)
  }

  /** Whether it has begun before the one time, and not ended before the other. @param {number} from @param {number} to */
  overlaps(from, to) {
    return this.start <= to && this.end >= from
  }

  /** What befalls a member. @param {Target} member */
  faultsOf(member) {
    return this.#dealt.flatMap(({ fault, targets }) =>
      targets.includes(member) ? [fault.name] : [],
    )
  }

  /** Injects the faults. Resolves once all that was struck is restored. */
  async act() {
    await Promise.all(
      this.#dealt.map(async ({ fault, targets }) => {
        await setTimeout(this.#random.spread(1, SPREAD_MILLIS))
        await fault.act(targets, this.#random)
      }),
    )
  }

  toString() {
    return this.#dealt
      .map(({ fault, targets }) => `${fault.name} (${targets.map(({ name }) => name).join(', ')})`)
      .join(' + ')
  }
}

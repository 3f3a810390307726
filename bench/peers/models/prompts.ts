import { seededRandom } from '../../../dist/src/model/generation/random.js'

/**
 * Random prompts, the same for everybody; only ids that spell text in all models.
 *
 * @param series those of another series begin otherwise, so that nobody knows them from before
 */
export function randomPrompts(count: number, length: number, series = 0): number[][] {
  const random = seededRandom(count * length + series * 1_000_003)
  return Array.from({ length: count }, () =>
    Array.from({ length }, () => Math.floor(random() * LEAST_VOCABULARY)),
  )
}

/** Every vocabulary is larger. */
const LEAST_VOCABULARY = 100_000

import { seededRandom } from '../../../dist/src/model/random.js'

/** Random prompts, the same every time; only ids that spell text in all models. */
export function randomPrompts(count: number, length: number): number[][] {
  const random = seededRandom(count * length)
  return Array.from({ length: count }, () =>
    Array.from({ length }, () => Math.floor(random() * LEAST_VOCABULARY)),
  )
}

/** Every vocabulary is larger. */
const LEAST_VOCABULARY = 100_000

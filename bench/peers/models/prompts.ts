import type { ModelShape } from '../../../dist/bench/models/shapes.js'
import { seededRandom } from '../../../dist/src/model/generation/random.js'

/**
 * Random prompts, the same for all contenders; only tokens that spell text in the model.
 *
 * @param series prompts of another series begin differently, so that no prefix cache holds them
 */
export function randomPrompts(
  { vocabSize }: Pick<ModelShape, 'vocabSize'>,
  count: number,
  length: number,
  series = 0,
): number[][] {
  const least = Math.min(vocabSize, SPELLING)
  const random = seededRandom(count * length + series * 1_000_003)
  return Array.from({ length: count }, () =>
    Array.from({ length }, () => Math.floor(random() * least)),
  )
}

/** Large vocabularies have special tokens above it. */
const SPELLING = 100_000

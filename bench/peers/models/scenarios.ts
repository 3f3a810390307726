import { kvCount, type ModelShape, weightCount } from '../../../dist/bench/models/shapes.js'
import { ROUNDS } from '../../../dist/bench/rounds.js'

/** Something that is measured. */
export interface Scenario {
  readonly name: string
  /** Sequences side by side. */
  readonly sequences: number
  /** Ids that a prompt has. */
  readonly prompt: number
  /** Which limit it is held against. */
  readonly bound: 'read' | 'peak'
  /** Steps that a sample times; none where it times the prompt. */
  readonly steps: number
  /** What one step or one prompt amounts to: bytes that it must read, or operations. */
  amount(shape: ModelShape): number
}

/** Steps of a sample; one before them is not timed. */
const STEPS = 3

/** Texts grow by so much while they are measured. */
const GROWTH = ROUNDS * (STEPS + 1)

export const scenarios: readonly Scenario[] = [
  decode({ context: 128, sequences: 1 }),
  decode({ context: 2048, sequences: 1 }),
  decode({ context: 128, sequences: 8 }),
  {
    name: 'prompt of 512',
    sequences: 1,
    prompt: 512,
    bound: 'peak',
    steps: 0,
    // of the head only the last token's
    amount: (shape) => {
      const head = shape.vocabSize * shape.hiddenSize
      return 2 * (512 * (weightCount(shape) - head) + head)
    },
  },
]

/** Ids that a sequence has at most. */
export function lengthOf({ prompt, steps }: Scenario): number {
  return prompt + 1 + (steps === 0 ? 0 : GROWTH)
}

/** @param context ids in each sequence in the middle of the measurement */
function decode({ context, sequences }: { context: number; sequences: number }): Scenario {
  const texts = sequences === 1 ? 'text' : `${sequences} texts`
  return {
    name: `${texts} at ${context}`,
    sequences,
    prompt: context - GROWTH / 2,
    bound: 'read',
    steps: STEPS,
    // a byte for each weight, two for each key and value, whatever a contender makes of them
    amount: (shape) => weightCount(shape) + 2 * sequences * context * kvCount(shape),
  }
}

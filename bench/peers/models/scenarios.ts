import { type Bits, weightBytes } from '../../../dist/bench/models/bits.js'
import { kvCount, type ModelShape, weightCount } from '../../../dist/bench/models/shapes.js'
import { ROUNDS } from '../../../dist/bench/rounds.js'

/** One measured scenario. */
export interface Scenario {
  readonly name: string
  /** Sequences in the batch. */
  readonly sequences: number
  /** Tokens of a prompt. */
  readonly prompt: number
  /** The bound that it is compared with. */
  readonly bound: 'read' | 'peak'
  /** Timed decode steps of a sample; 0 where the sample times the prompt. */
  readonly steps: number
  /** The amount of one step or one prompt: bytes that it must read, or operations. */
  amount(shape: ModelShape, bits: Bits, headBits: Bits): number
}

/** Steps of a sample, after one untimed step. */
const STEPS = 3

/** Sequences grow by this many tokens while they are measured. */
const GROWTH = ROUNDS * (STEPS + 1)

export const scenarios: readonly Scenario[] = [
  decode({ context: 128, sequences: 1 }),
  decode({ context: 2048, sequences: 1 }),
  decode({ context: 128, sequences: 8 }),
  {
    name: 'prefill of 512',
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

/** The most tokens of a sequence. */
export function lengthOf({ prompt, steps }: Scenario): number {
  return prompt + 1 + (steps === 0 ? 0 : GROWTH)
}

/** @param context tokens in each sequence in the middle of the measurement */
function decode({ context, sequences }: { context: number; sequences: number }): Scenario {
  return {
    name: `decode${sequences === 1 ? '' : ` of ${sequences}`} at ${context}`,
    sequences,
    prompt: context - GROWTH / 2,
    bound: 'read',
    steps: STEPS,
    // for every contender what dotpool has of weights, and two bytes for each key and value
    amount: (shape, bits, headBits) =>
      weightBytes(shape, bits, headBits) + 2 * sequences * context * kvCount(shape),
  }
}

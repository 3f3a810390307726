import type { Llama3Rope, RopeConfig, YarnRope } from '../config/rope-config.js'

/*
 * The frequencies of rotary position embeddings, as the modeling_rope_utils of transformers defines
 * them: https://huggingface.co/docs/transformers/internal/rope_utils. D is the head's size; pair i of
 * D/2 turns by `frequencies[i]` radians per position.
 */

export interface RopeFrequencies {
  /** float32 [D/2], radians per position. */
  readonly frequencies: Float32Array
  /** Multiplies cosines and sines. */
  readonly attentionFactor: number
}

/** Cosines and sines of consecutive positions, each float32 [positions, D/2]. */
export interface RotationTable {
  readonly cos: Float32Array
  readonly sin: Float32Array
}

/**
 * The frequencies at one position.
 *
 * Only those of `dynamic` depend on the position p: they are those of a text of
 * max(p + 1, original length) positions, which is what transformers uses for the last one of a text
 * that comes id by id. So a key stays as it was rotated when it came, and results do not depend on
 * how many ids go through at once.
 *
 * @param headDim D, even
 * @param position p, 0 by default
 */
export function ropeFrequencies(headDim: number, rope: RopeConfig, position = 0): RopeFrequencies {
  const plain = {
    frequencies: inverse(positionsPerRadian(headDim, rope.theta)),
    attentionFactor: 1,
  }
  switch (rope.type) {
    case 'default':
      return plain
    case 'linear':
      return { ...plain, frequencies: plain.frequencies.map((f) => f / rope.factor) }
    case 'dynamic': {
      const length = Math.max(position + 1, rope.originalMaxPositionEmbeddings)
      const stretch = (rope.factor * length) / rope.originalMaxPositionEmbeddings - rope.factor + 1
      const theta = rope.theta * stretch ** (headDim / (headDim - 2))
      return { ...plain, frequencies: inverse(positionsPerRadian(headDim, theta)) }
    }
    case 'llama3':
      return { ...plain, frequencies: plain.frequencies.map((f) => llama3Frequency(f, rope)) }
    case 'longrope':
      return { ...plain, frequencies: plain.frequencies.map((f, i) => f / rope.factors[i]) }
    case 'yarn':
      return { frequencies: yarnFrequencies(headDim, rope), attentionFactor: yarnFactor(rope) }
  }
}

/**
 * The rotation of the positions [from, to): cosines and sines times the attention factor. Angles are
 * rounded to float32, as the published implementations do.
 *
 * @param headDim D, even
 */
export function rotationTable(
  headDim: number,
  rope: RopeConfig,
  from: number,
  to: number,
): RotationTable {
  const half = headDim / 2
  const cos = new Float32Array((to - from) * half)
  const sin = new Float32Array((to - from) * half)
  let { frequencies, attentionFactor } = ropeFrequencies(headDim, rope, from)
  for (let p = from, at = 0; p < to; p++) {
    if (rope.type === 'dynamic' && p >= rope.originalMaxPositionEmbeddings) {
      frequencies = ropeFrequencies(headDim, rope, p).frequencies
    }
    for (let i = 0; i < half; i++, at++) {
      const angle = Math.fround(p * frequencies[i])
      cos[at] = Math.fround(Math.cos(angle)) * attentionFactor
      sin[at] = Math.fround(Math.sin(angle)) * attentionFactor
    }
  }
  return { cos, sin }
}

/** theta^(2i/D) for i < D/2. */
function positionsPerRadian(headDim: number, theta: number): Float32Array {
  return Float32Array.from(
    { length: headDim / 2 },
    (_, i) => theta ** Math.fround((2 * i) / headDim),
  )
}

function inverse(values: Float32Array): Float32Array {
  return values.map((value) => 1 / value)
}

function llama3Frequency(frequency: number, rope: Llama3Rope): number {
  const { factor, lowFreqFactor, highFreqFactor } = rope
  const turns = (rope.originalMaxPositionEmbeddings * frequency) / (2 * Math.PI)
  if (turns > highFreqFactor) return frequency
  if (turns < lowFreqFactor) return frequency / factor
  const kept = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
  return kept * frequency + ((1 - kept) * frequency) / factor
}

function yarnFrequencies(headDim: number, rope: YarnRope): Float32Array {
  const [first, last] = yarnRamp(headDim, rope)
  return positionsPerRadian(headDim, rope.theta).map((period, i) => {
    const stretched = Math.min(Math.max((i - first) / (last - first), 0), 1)
    return stretched / (rope.factor * period) + (1 - stretched) / period
  })
}

/** The pairs between which frequencies go from unchanged to divided by the factor. */
function yarnRamp(headDim: number, rope: YarnRope): [number, number] {
  const { theta, originalMaxPositionEmbeddings, betaFast, betaSlow, truncate } = rope
  /** The pair that turns so often over the original length. */
  const pairOf = (turns: number) =>
    (headDim * Math.log(originalMaxPositionEmbeddings / (turns * 2 * Math.PI))) /
    (2 * Math.log(theta))
  const fast = pairOf(betaFast)
  const slow = pairOf(betaSlow)
  const first = Math.max(truncate ? Math.floor(fast) : fast, 0)
  const last = Math.min(truncate ? Math.ceil(slow) : slow, headDim - 1)
  return [first, first === last ? last + 0.001 : last]
}

function yarnFactor({ factor, attentionFactor, mscale, mscaleAllDim }: YarnRope): number {
  if (attentionFactor !== undefined) return attentionFactor
  const magnitude = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1)
  return mscale && mscaleAllDim ? magnitude(mscale) / magnitude(mscaleAllDim) : magnitude(1)
}

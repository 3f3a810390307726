import { floatToBf16, Tensor } from 'dotpool'
import fc from 'fast-check'

/** Random numbers in [0, 1), the same for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How the values of a row or a channel are distributed. */
export const distributions = [
  'ordinary',
  'ties',
  'zeros',
  'equal',
  'tiny',
  'denormal',
  'huge',
  'any exponent',
] as const
export type Distribution = (typeof distributions)[number]

/** Fills with finite float32 values of the distribution. */
export function fill(values: Float32Array, distribution: Distribution, random: () => number): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const unit = () => random() * 2 - 1
  const same = unit() * 100
  for (let i = 0; i < values.length; i++) {
    if (distribution === 'ordinary') values[i] = unit() * 4
    // with a 127 among them the scale is 1, and the others lie half-way between integers
    else if (distribution === 'ties')
      values[i] = i === 0 ? 127 : Math.floor(random() * 253) / 2 - 63
    else if (distribution === 'zeros') values[i] = random() < 0.5 ? 0 : -0
    else if (distribution === 'equal') values[i] = same
    else if (distribution === 'tiny') values[i] = unit() * 2e-8
    else if (distribution === 'denormal') words[i] = (random() * 2 ** 32) & 0x807fffff
    else if (distribution === 'huge') values[i] = unit() * 3.4e38
    else words[i] = anyFinite(random)
  }
}

function anyFinite(random: () => number): number {
  for (;;) {
    const bits = Math.floor(random() * 2 ** 32)
    if ((bits & 0x7f800000) !== 0x7f800000) return bits
  }
}

/** Rows of floats, each with its own distribution. */
export function randomRows(rows: number, width: number, random: () => number): Float32Array {
  const values = new Float32Array(rows * width)
  for (let m = 0; m < rows; m++) {
    const distribution = distributions[Math.floor(random() * distributions.length)]
    const row = values.subarray(m * width, (m + 1) * width)
    fill(row, distribution, random)
    if (random() < 0.5) enlarge(row, random)
  }
  return values
}

/** Makes outliers of some elements, as far as they stay finite. */
function enlarge(row: Float32Array, random: () => number): void {
  for (let i = Math.floor(random() * 20); i > 0; i--) {
    const k = Math.floor(random() * row.length)
    const large = Math.fround(row[k] * (1 + Math.floor(random() * 300)))
    if (Number.isFinite(large)) row[k] = large
  }
}

/** Int8 values: any, or only the extremes, or all -128. */
export function randomInt8(length: number, random: () => number): Int8Array {
  const kind = random()
  const value = () => {
    if (kind < 0.1) return -128
    if (kind < 0.2) return random() < 0.5 ? -128 : 127
    return Math.floor(random() * 256) - 128
  }
  return new Int8Array(length).map(value)
}

/** A layer and a batch for it, made from a few numbers that fast-check shrinks. */
export interface LinearCase {
  rows: number
  inFeatures: number
  outFeatures: number
  weight: Int8Array
  scale: Float32Array
  bias: Float32Array | undefined
  /** Per row, at most. */
  outliers: number
  x: Float32Array
}

/** Sizes are odd as often as not, mostly small, sometimes larger than a block or two. */
export const linearCases = fc
  .record({
    rows: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
    inFeatures: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 300 })),
    outFeatures: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 200 })),
    hasBias: fc.boolean(),
    outliers: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 15 })),
    seed: fc.integer(),
  })
  .map(({ hasBias, seed, outliers, ...shape }) => makeCase(shape, hasBias, seed, outliers))

export function makeCase(
  shape: Pick<LinearCase, 'rows' | 'inFeatures' | 'outFeatures'>,
  hasBias: boolean,
  seed: number,
  outliers = 0,
): LinearCase {
  const { rows, inFeatures, outFeatures } = shape
  const random = randomNumbers(seed)
  return {
    ...shape,
    weight: randomInt8(outFeatures * inFeatures, random),
    scale: new Float32Array(outFeatures).map(() => random() * 0.1 - 0.02),
    bias: hasBias ? new Float32Array(outFeatures).map(() => random() * 100 - 50) : undefined,
    outliers,
    x: randomRows(rows, inFeatures, random),
  }
}

/** The options for a Linear of this case. */
export function optionsOf({ inFeatures, outFeatures, bias, outliers }: LinearCase) {
  return { inFeatures, outFeatures, bias, outliers }
}

/** Rounds the values to a bfloat16 tensor. */
export function bf16Tensor(values: Float32Array, dims: number[]): Tensor<'bfloat16'> {
  return new Tensor('bfloat16', Uint16Array.from(values, floatToBf16), dims)
}

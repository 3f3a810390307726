import { type Int4Weight, int4Strides } from '#src/reference/int4.js'
import { randomNumbers } from './random.js'

/** Weights of four bits [N, K]: multipliers of any size with what nibbles fit a byte, or only the largest weights. */
export function randomInt4(
  { inFeatures: K, outFeatures: N }: { inFeatures: number; outFeatures: number },
  seed: number,
): Int4Weight {
  const random = randomNumbers(seed)
  const stride = int4Strides(K)
  const nibbles = new Uint8Array(N * stride.nibbles)
  const kind = random()
  const multiplier = () => {
    if (kind < 0.1) return 16
    const m = kind < 0.6 ? 1 + Math.floor(random() * 16) : Math.floor(random() * 256) - 128
    return m === 0 ? 18 : m
  }
  const multipliers = new Int8Array(N * stride.multipliers).map(multiplier)
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < stride.nibbles * 2; k++) {
      // past K, too, where it is odd
      const m = multipliers[n * stride.multipliers + Math.floor(Math.min(k, K - 1) / 32)]
      const u = kind < 0.1 ? 0 : fittingNibble(m, random)
      nibbles[n * stride.nibbles + (k >> 1)] |= u << ((k & 1) * 4)
    }
  }
  return { nibbles, multipliers }
}

/** u in 0..15 such that (u - 8) * m is in [-128, 127]. */
function fittingNibble(m: number, random: () => number): number {
  const least = Math.max(-8, Math.ceil(m > 0 ? -128 / m : 127 / m))
  const most = Math.min(7, Math.floor(m > 0 ? 127 / m : -128 / m))
  return 8 + least + Math.floor(random() * (most - least + 1))
}

/** How long steps of a machine take. */
export interface Machine {
  /** Of a step, whatever is in it: the weights are read once. Milliseconds. */
  readonly step: number
  /** Of each sequence that decodes. */
  readonly decodeRow: number
  /** Of each token of its context. */
  readonly contextToken: number
  /** Of each token of a prompt. */
  readonly prefillRow: number
  /** Tokens of a prompt in a second. */
  readonly prefillRate: number
  /** Tokens in a second of a sequence that runs alone. */
  readonly decodeRate: number
}

/** Tokens per second of the shape of Qwen3-0.6B, as `npm run bench:models` measures them. */
interface Rates {
  decodeAt128: number
  decodeAt2048: number
  /** Of all eight together. */
  decodeOf8At128: number
  prefillOf512: number
}

/** Times of steps that fit the rates. */
function toMachine(rates: Rates): Machine {
  const one = 1000 / rates.decodeAt128
  const row = (8000 / rates.decodeOf8At128 - one) / 7
  const contextToken = (1000 / rates.decodeAt2048 - one) / (2048 - 128)
  return {
    step: one - row,
    decodeRow: row - 128 * contextToken,
    contextToken,
    prefillRow: 1000 / rates.prefillOf512,
    prefillRate: rates.prefillOf512,
    decodeRate: rates.decodeAt128,
  }
}

/**
 * Two cores of each: bench/peers/models/results, amd-epyc-avx2-2-cores and intel-xeon-avx512vnni-2-of-16-cores of
 * 2026-11-27. They are copied, so that a simulation gives the same when those are measured anew.
 */
export const machines = {
  /** AMD EPYC, AVX2. */
  epyc: toMachine({
    decodeAt128: 38.26,
    decodeAt2048: 35.88,
    decodeOf8At128: 157.4,
    prefillOf512: 224.7,
  }),
  /** Intel Xeon, AVX-512 VNNI. */
  xeon: toMachine({
    decodeAt128: 34.86,
    decodeAt2048: 25.03,
    decodeOf8At128: 180.3,
    prefillOf512: 479.5,
  }),
}

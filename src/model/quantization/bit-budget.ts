import type { ModelConfig } from '../config/config.js'
import { defaultW4A8Format } from '../config/linear-format.js'

/** Of a weight in int8. */
export const INT8_BITS = 8

/** Of a weight in four bits, with its share of a multiplier for 32. */
export const INT4_BITS = 4 + 8 / 32

/** A Linear that may be in four bits or in eight. */
export interface Candidate {
  readonly name: string
  /** How many weights it has. */
  readonly size: number
  /** What four bits do to it rather than eight; harms of several Linears add up. */
  readonly harm: number
}

/**
 * Chooses the Linears that get eight bits, so that the others do little harm: those that do most for each weight come
 * first, as far as the budget goes.
 *
 * @param bits the most bits a weight, on average
 * @returns their names
 */
export function spendBits(candidates: readonly Candidate[], bits: number): Set<string> {
  const total = candidates.reduce((sum, { size }) => sum + size, 0)
  let left = (total * (bits - INT4_BITS)) / (INT8_BITS - INT4_BITS)
  const chosen = new Set<string>()
  for (const { name, size } of candidates.toSorted((a, b) => b.harm / b.size - a.harm / a.size)) {
    if (size > left) continue
    left -= size
    chosen.add(name)
  }
  return chosen
}

/**
 * How much harm four bits are expected to do for each weight, where there is no text to measure it, in units of what they
 * do to most Linears: outputs of `v_proj` and `down_proj` reach the residual stream.
 */
export function harmOfWeight(name: string, config: ModelConfig): number {
  if (defaultW4A8Format(name, config) === 'int8') return 10
  return name.endsWith('.down_proj') ? 3 : 1
}

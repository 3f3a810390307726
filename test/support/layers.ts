import { Linear, type Pool } from 'dotpool'
import { makeCase } from './random.js'

/** A layer of random weights, the same for the same seed; even seeds give it a bias. */
export async function randomLinear(
  pool: Pool,
  inFeatures: number,
  outFeatures: number,
  seed: number,
): Promise<Linear> {
  const hasBias = seed % 2 === 0
  const { weight, scale, bias } = makeCase({ rows: 1, inFeatures, outFeatures }, hasBias, seed)
  return await Linear.fromInt8(pool, weight, scale, { inFeatures, outFeatures, bias })
}

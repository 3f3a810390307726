import { Checkpoint, Linear, Model, Pool } from 'dotpool'
import { fixture } from '../model/support.js'

/** What JavaScript callers can do and TypeScript callers cannot. */
// biome-ignore lint/suspicious/noExplicitAny: the point of the tests that use it
export type Any = any

export const shape = { inFeatures: 4, outFeatures: 4 }

/** One of each object that the public API makes, for calls with arguments of any kind. */
export async function makeThings() {
  const pool = await Pool.create({ threads: 1 })
  return {
    pool,
    linear: await Linear.fromInt8(pool, new Int8Array(16).fill(3), 1, shape),
    model: await Model.load(pool, fixture),
    floats: await Model.load(pool, fixture, { quantize: 'none' }),
    checkpoint: await Checkpoint.open(fixture),
  }
}

import { join } from 'node:path'
import { type Linear, Model, Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectSameBits } from '../../support/reference.js'
import {
  expectFormatError,
  f32,
  logitsOf,
  relativeError,
  type StoredTensor,
  temporaryFolder,
  writeCheckpoint,
} from '../support.js'
import { awqConfig, gptqConfig, packAwq, packGptq } from './k-major.js'
import { int32, makeWeight, type WeightKind } from './made-weight.js'
import { expectUnpacked, load, packedCheckpoint } from './packed-checkpoint.js'

let pool: Pool
beforeAll(async () => {
  // results do not depend on it, and to quantise starts as many threads as the pool has
  pool = await Pool.create({ threads: 1 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)
const size = fc.constantFrom(32, 64, 128, 24, undefined)
const eights = fc.integer({ min: 1, max: 20 }).map((n) => 8 * n)
const kinds = fc.record({
  size,
  symmetric: fc.boolean(),
  dtype: fc.constant('F16' as const),
  seed: fc.integer(),
})

describe('a weight has the floats of its definition, whatever its shape and groups', () => {
  it('in GPTQ', async () => {
    await fc.assert(
      fc.asyncProperty(
        eights,
        eights,
        kinds,
        fc.boolean(),
        fc.constantFrom(1, 2),
        async (N, K, kind, ordered, version) => {
          const weight = makeWeight(N, K, { ...kind, ordered })
          const indices = ordered || kind.seed % 2 === 0
          const format = version === 1 ? {} : { checkpoint_format: 'gptq_v2' }
          const tensors = packGptq('x', weight, { version, indices })
          await expectUnpacked(gptqConfig(kind.size, format), tensors, weight)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('in AWQ', async () => {
    await fc.assert(
      fc.asyncProperty(eights, fc.integer({ min: 1, max: 150 }), kinds, async (N, K, kind) => {
        const weight = makeWeight(N, K, kind)
        await expectUnpacked(awqConfig(kind.size), packAwq('x', weight), weight)
      }),
      { numRuns: 40 },
    )
  })

  it('of many rows, which are read in several blocks', async () => {
    const weight = makeWeight(512, 1040, { size: 130, dtype: 'F16', seed: 2 })
    await expectUnpacked(gptqConfig(130), packGptq('x', weight), weight)
    const wide = makeWeight(512, 1100, { size: 110, dtype: 'F16', seed: 3 })
    await expectUnpacked(awqConfig(110), packAwq('x', wide), wide)
  })
})

type Pack = (name: string, weight: ReturnType<typeof makeWeight>) => Record<string, StoredTensor>

describe.each<[string, object, Partial<WeightKind>, Pack]>([
  ['GPTQ, symmetric', gptqConfig(32), { size: 32, symmetric: true }, packGptq],
  ['GPTQ, ordered by activations', gptqConfig(32), { size: 32, ordered: true }, packGptq],
  ['AWQ', awqConfig(32), { size: 32 }, packAwq],
])('a checkpoint of %s', (_, quantization, given, pack) => {
  const kind: WeightKind = { dtype: 'F16', seed: 5, ...given }
  const { packed, float } = packedCheckpoint(quantization, kind, pack)

  it('runs in four bits, near its floats, and stays so when saved', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, packed.config, packed.tensors)
    using model = await Model.load(pool, folder.path)
    for (const [name, linear] of model.linears) {
      const type = name === 'lm_head' ? 'int8' : 'int4'
      expect([name, (linear as Linear).weightType]).toEqual([name, type])
    }
    const found = await logitsOf(model, ids)
    using exact = await load(pool, float, { quantize: 'none' })
    expect(relativeError(found, await logitsOf(exact, ids))).toBeLessThan(0.2)

    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using again = await Model.load(pool, saved)
    expectSameBits(await logitsOf(again, ids), found)
  })

  it('gives the bits of its floats in int8 and in float32', async () => {
    for (const quantize of ['w8a8', 'none'] as const) {
      const kv = 'float32'
      using model = await load(pool, packed, { quantize, kv, skip: [] })
      using expected = await load(pool, float, { quantize, kv, skip: [] })
      expectSameBits(await logitsOf(model, ids), await logitsOf(expected, ids), quantize)
    }
  })
})

describe.each<[string, (size: number, changes?: object) => object, Pack]>([
  ['GPTQ', gptqConfig, packGptq],
  ['AWQ', awqConfig, packAwq],
])('a checkpoint of %s', (_, configOf, pack) => {
  const name = 'model.layers.0.mlp.up_proj'
  const kind = { size: 32, symmetric: true, multiples: true, dtype: 'F16', seed: 3 } as const
  const { packed, float } = packedCheckpoint(configOf(32), kind, pack)
  const loading = (changes: Record<string, StoredTensor>, settings = {}) => {
    const config = { ...packed.config, quantization_config: configOf(32, settings) }
    const tensors = { ...packed.tensors, ...changes }
    // which starts no threads to search
    return load(pool, { config, tensors }, { quantize: 'w8a8' })
  }

  it('may have biases of zeros', async () => {
    const changes = { [`${name}.bias`]: f32([96], Array(96).fill(0)) }
    using model = await loading(changes)
    using expected = await load(pool, float, { quantize: 'w8a8' })
    expectSameBits(await logitsOf(model, ids), await logitsOf(expected, ids))
    await using folder = await temporaryFolder()
    const tensors = { ...packed.tensors, ...changes }
    await writeCheckpoint(folder.path, packed.config, tensors)
    using int4 = await Model.load(pool, folder.path)
    await int4.save(join(folder.path, 'saved'))
    using again = await Model.load(pool, join(folder.path, 'saved'))
    expectSameBits(await logitsOf(again, ids), await logitsOf(int4, ids))
  })

  it.each<[string, StoredTensor, RegExp]>([
    ['bias', f32([96], Array(96).fill(1)), /up_proj\.bias: expected zeros/],
    ['qweight', int32([64, 96], Array(6144).fill(0)), /up_proj\.qweight: expected shape \[/],
    ['qzeros', int32([2, 96], Array(192).fill(0)), /up_proj\.qzeros: expected shape \[2,12\]/],
    ['scales', f32([192], Array(192).fill(0)), /up_proj\.scales: expected a matrix/],
    ['scales', f32([2, 95], Array(190).fill(0)), /up_proj\.scales: expected shape \[2,96\]/],
    ['qzeros', f32([2, 12], Array(24).fill(0)), /up_proj\.qzeros: dtype F32 is not supp/],
    ['scales', f32([2, 96], Array(192).fill(Number.NaN)), /up_proj: weight: expected finite/],
  ])('is refused for its %s', async (part, tensor, message) => {
    await expectFormatError(loading({ [`${name}.${part}`]: tensor }), message)
  })

  it.each<[object, RegExp]>([
    [{ bits: 8 }, /quantization_config\.bits 8 is not supported, only 4/],
    [{ group_size: 0 }, /quantization_config\.group_size: expected an integer of at least 1/],
    [{ group_size: 48 }, /(scales: 2 groups of 96 inputs|3 groups of 96 inputs), expected/],
  ])('is refused with %j', async (settings, message) => {
    // without the groups of each input, which say more
    const { [`${name}.g_idx`]: _index, ...rest } = packed.tensors
    const down = 'model.layers.0.mlp.down_proj.g_idx'
    const { [down]: _down, ...tensors } = rest
    const config = { ...packed.config, quantization_config: configOf(32, settings) }
    await expectFormatError(load(pool, { config, tensors }, { quantize: 'w8a8' }), message)
  })
})

it.each<[object, RegExp]>([
  [gptqConfig(32, { checkpoint_format: 'marlin' }), /checkpoint_format "marlin" is not supported/],
  [gptqConfig(32, { is_marlin_format: true }), /is_marlin_format true is not supported/],
  [awqConfig(32, { version: 'gemv' }), /version "gemv" is not supported, only "gemm"/],
])('refuses other layouts: %j', async (quantization_config, message) => {
  const kind = { size: 32, seed: 1 }
  const { packed } = packedCheckpoint(quantization_config, kind, packAwq)
  await expectFormatError(load(pool, packed), message)
})

it('refuses sizes that are no multiples of 8, and groups out of range', async () => {
  const kind = { size: 32, symmetric: true, seed: 1 } as const
  const { packed } = packedCheckpoint(gptqConfig(32), kind, packGptq)
  const name = 'model.layers.0.mlp.gate_proj'
  const odd = { ...packed.config, intermediate_size: 92 }
  await expectFormatError(
    load(pool, { config: odd, tensors: packed.tensors }, { quantize: 'w8a8' }),
    /_proj: 92 (outputs|inputs) are not a multiple of 8/,
  )
  const tensors = { ...packed.tensors, [`${name}.g_idx`]: int32([64], Array(64).fill(-2)) }
  await expectFormatError(
    load(pool, { ...packed, tensors }, { quantize: 'w8a8' }),
    /gate_proj\.g_idx: group -2 of input 0, expected one of 2/,
  )
})

import { join } from 'node:path'
import { Linear, Model, Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectSameBits } from '../../support/reference.js'
import {
  expectFormatError,
  logitsOf,
  relativeError,
  type StoredTensor,
  temporaryFolder,
  writeCheckpoint,
} from '../support.js'
import { int32, makeWeight, type WeightKind } from './made-weight.js'
import { packQuantized, packQuantizedConfig } from './pack-quantized.js'
import { expectUnpacked, load, packedCheckpoint } from './packed-checkpoint.js'

let pool: Pool
beforeAll(async () => {
  // results do not depend on it, and to quantise starts as many threads as the pool has
  pool = await Pool.create({ threads: 1 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)
const int8Activations = { num_bits: 8, type: 'int', symmetric: true, strategy: 'token' }

describe('a weight in pack-quantized', () => {
  it('has the floats of its definition, whatever its shape and groups', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 150 }),
        fc.record({
          size: fc.constantFrom(32, 64, 128, 5, undefined),
          symmetric: fc.boolean(),
          ordered: fc.boolean(),
          dtype: fc.constantFrom('F16', 'BF16'),
          seed: fc.integer(),
        }),
        async (N, K, kind) => {
          const weight = makeWeight(N, K, kind)
          const tensors = packQuantized('x', weight, kind)
          await expectUnpacked(packQuantizedConfig(kind.size), tensors, weight)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('may have zero points in int8, groups of which all are -1, and no shape', async () => {
    const weight = makeWeight(5, 64, { size: 32, dtype: 'BF16', seed: 1 })
    const { 'x.weight_shape': _shape, ...tensors } = packQuantized('x', weight)
    const zeros = Int8Array.from(weight.zeros.flat(), (zero) => zero - 8)
    tensors['x.weight_zero_point'] = {
      ...{ dtype: 'I8', shape: [5, 2] },
      data: new Uint8Array(zeros.buffer),
    }
    tensors['x.weight_g_idx'] = int32([64], Array(64).fill(-1))
    await expectUnpacked(packQuantizedConfig(32), tensors, weight)
  })
})

describe.each([
  ['groups of 32', { size: 32, symmetric: true }, null],
  ['groups of 64 that end early', { size: 64, symmetric: true }, null],
  ['groups of 128', { size: 128, symmetric: true }, { ...int8Activations, dynamic: true }],
  ['channels', { symmetric: true }, null],
  ['groups with zero points', { size: 32 }, null],
  ['groups ordered by activations', { size: 32, symmetric: true, ordered: true }, null],
])('a checkpoint in pack-quantized: %s', (_, given, activations) => {
  const kind: WeightKind & { dtype: 'BF16' } = { dtype: 'BF16', seed: 5, ...given }
  const weights = { symmetric: kind.symmetric ?? false }
  const config = packQuantizedConfig(kind.size, { weights, activations })
  const { packed, float } = packedCheckpoint(config, kind, (name, weight) =>
    packQuantized(name, weight, kind),
  )

  it('runs in four bits, near its floats, and stays so when saved', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, packed.config, packed.tensors)
    using model = await Model.load(pool, folder.path)
    expect(model.config.quantization).toBe('w4a8')
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
      expect([...model.linears.values()].every((l) => l instanceof Linear)).toBe(
        quantize === 'w8a8',
      )
      expectSameBits(await logitsOf(model, ids), await logitsOf(expected, ids), quantize)
      expect(await model.fingerprint()).toBe(await expected.fingerprint())
    }
  })
})

it('keeps nibbles of a packed weight whose scales are multiples of one', async () => {
  const kind = { size: 32, symmetric: true, multiples: true, dtype: 'F16', seed: 9 } as const
  const { packed, float } = packedCheckpoint(packQuantizedConfig(32), kind, (name, weight) =>
    packQuantized(name, weight, kind),
  )
  using model = await load(pool, packed)
  const name = 'model.layers.0.mlp.down_proj'
  const linear = model.linears.get(name) as Linear
  const expected = new Float32Array(float.tensors[`${name}.weight`].data.slice().buffer)
  const w8 = linear.unpack()
  const K = linear.inFeatures
  expect(w8.every((q, i) => q * linear.scale[Math.floor(i / K)] === expected[i])).toBe(true)
})

it('saves Linears that were left in float as floats', async () => {
  const kind = { size: 32, symmetric: true, dtype: 'BF16', seed: 3 } as const
  const { packed } = packedCheckpoint(packQuantizedConfig(32), kind, (name, weight) =>
    packQuantized(name, weight, kind),
  )
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, packed.config, packed.tensors)
  using model = await Model.load(pool, folder.path, { skip: ['v_proj'] })
  const saved = join(folder.path, 'saved')
  await model.save(saved)
  using again = await Model.load(pool, saved)
  expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
  const { parameterBytes } = await Model.inspect(folder.path, { skip: ['v_proj'] })
  expect((await Model.inspect(saved)).parameterBytes).toBe(parameterBytes)
})

describe('a broken checkpoint in pack-quantized', () => {
  const kind = { size: 32, symmetric: true, multiples: true, dtype: 'BF16', seed: 3 } as const
  const name = 'model.layers.0.mlp.up_proj'
  const { packed } = packedCheckpoint(packQuantizedConfig(32), kind, (linear, weight) =>
    packQuantized(linear, weight, { ordered: linear === name }),
  )
  const failing = (changes: Record<string, StoredTensor | undefined>, settings = {}) => {
    const config = { ...packed.config, quantization_config: packQuantizedConfig(32, settings) }
    const all = Object.entries({ ...packed.tensors, ...changes })
    const tensors = Object.fromEntries(all.filter(([, tensor]) => tensor !== undefined))
    const made = { config, tensors: tensors as Record<string, StoredTensor> }
    // which starts no threads to search
    return load(pool, made, { quantize: 'w8a8' })
  }

  it.each<[string, Record<string, StoredTensor | undefined>, RegExp]>([
    ['no scales', { weight_scale: undefined }, /up_proj\.weight_scale is missing/],
    ['no nibbles', { weight_packed: undefined }, /up_proj\.weight is missing/],
    [
      'nibbles of another shape',
      { weight_packed: int32([96, 4], Array(384).fill(0)) },
      /up_proj\.weight_packed: expected shape \[96,8\], got \[96,4\]/,
    ],
    [
      'nibbles of floats',
      { weight_packed: { dtype: 'F32', shape: [96, 8], data: new Uint8Array(96 * 32) } },
      /up_proj\.weight_packed: dtype F32 is not supported, only I32/,
    ],
    [
      'scales of no matrix',
      { weight_scale: { dtype: 'BF16', shape: [192], data: new Uint8Array(384) } },
      /up_proj\.weight_scale: expected a matrix, got shape \[192\]/,
    ],
    [
      'scales of other channels',
      { weight_scale: { dtype: 'BF16', shape: [95, 2], data: new Uint8Array(380) } },
      /up_proj\.weight_scale: expected shape \[96,2\], got \[95,2\]/,
    ],
    [
      'scales of other groups',
      {
        weight_scale: { dtype: 'BF16', shape: [96, 3], data: new Uint8Array(576) },
        weight_g_idx: undefined,
      },
      /up_proj\.weight_scale: 3 groups of 64 inputs, expected groups of 32/,
    ],
    [
      'scales that are not finite',
      { weight_scale: { dtype: 'BF16', shape: [96, 2], data: new Uint8Array(384).fill(0xff) } },
      /mlp\.up_proj: weight: expected finite/,
    ],
    [
      'an index out of range',
      { weight_g_idx: int32([64], Array(64).fill(2)) },
      /up_proj\.weight_g_idx: group 2 of input 0, expected one of 2/,
    ],
    [
      'another shape',
      { weight_shape: int32([2], [96, 63]) },
      /up_proj\.weight_shape: expected the shape \[96,64\], got \[96,63\]/,
    ],
    [
      'zero points of another shape',
      { weight_zero_point: int32([96, 2], Array(192).fill(0)) },
      /up_proj\.weight_zero_point: expected shape \[12,2\], got \[96,2\]/,
    ],
    [
      'a zero point out of range',
      { weight_zero_point: { dtype: 'I8', shape: [96, 2], data: new Uint8Array(192).fill(8) } },
      /up_proj\.weight_zero_point: element 0 is not in \[-8, 7\]/,
    ],
  ])('is refused: %s', async (_, changes, message) => {
    const named = Object.entries(changes).map(([part, tensor]) => [`${name}.${part}`, tensor])
    await expectFormatError(failing(Object.fromEntries(named)), message)
  })

  it.each<[object, RegExp]>([
    [{ weights: { num_bits: 8 } }, /weights\.num_bits 8 is not supported, only 4/],
    [{ weights: { type: 'float' } }, /weights\.type "float" is not supported, only "int"/],
    [
      { weights: { strategy: 'block' } },
      /weights\.strategy "block" is not supported, only "group", "channel"/,
    ],
    [{ weights: { group_size: 0 } }, /weights\.group_size: expected an integer of at least 1/],
    [{ activations: { ...int8Activations, num_bits: 4 } }, /input_activations\.num_bits 4/],
    [{ activations: { ...int8Activations, dynamic: false } }, /input_activations\.dynamic false/],
  ])('is refused with %j', async (settings, message) => {
    await expectFormatError(failing({}, settings), message)
  })

  it('is refused with inputs that are rotated', async () => {
    const quantization_config = { ...packQuantizedConfig(32), transform_config: { R1: {} } }
    const config = { ...packed.config, quantization_config }
    await expectFormatError(
      load(pool, { config, tensors: packed.tensors }),
      /transform_config is not supported/,
    )
  })
})

import { join } from 'node:path'
import {
  ArgumentError,
  compareModels,
  Linear,
  Model,
  Pool,
  quantizeInt4,
  quantizeLinears,
  replaceLinears,
} from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import type { LoadOptions } from '#src/model/load.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { randomCheckpoint } from './random-checkpoint.js'
import {
  expectFormatError,
  loadMade,
  logitsOf,
  readJson,
  relativeError,
  temporaryFolder,
  writeCheckpoint,
} from './support.js'

let pool: Pool
beforeAll(async () => {
  // results do not depend on it, and to quantise starts as many threads as the pool has
  pool = await Pool.create({ threads: 1 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)
const random = randomNumbers(4)
/** The made checkpoints' widest Linear has 60 inputs. */
const calibration = Array.from({ length: 120 }, () => Math.floor(random() * 53))
const { config, tensors } = randomCheckpoint('LlamaForCausalLM')

/** Bits of each Linear's weights, 32 for floats. */
function bitsOf({ linears }: Model): Record<string, number> {
  return Object.fromEntries(
    [...linears].map(([name, linear]) => {
      if (!(linear instanceof Linear)) return [name, 32]
      return [name, linear.weightType === 'int4' ? 4 : 8]
    }),
  )
}

const kindsOf = (model: Model, bits: number) =>
  Object.entries(bitsOf(model)).flatMap(([name, own]) =>
    own === bits ? [name.replace('model.layers.', '')] : [],
  )

const sensitive = ['0.self_attn.v_proj', '1.self_attn.v_proj', '1.mlp.down_proj', 'lm_head']

describe('a model loaded as w4a8', () => {
  it('holds all Linears in four bits but those known to suffer most', async () => {
    using model = await loadMade(pool, config, tensors, { quantize: 'w4a8' })
    expect(kindsOf(model, 8)).toEqual(sensitive)
    expect(kindsOf(model, 4).length).toBe(11)
    using skipping = await loadMade(pool, config, tensors, { quantize: 'w4a8', skip: ['mlp.*'] })
    expect(kindsOf(skipping, 32)).toEqual(kindsOf(model, 32).concat(kindsOf(skipping, 32)))
    expect(kindsOf(skipping, 32).length).toBe(6)
  })

  it.each([false, true])('holds the head as asked for, tied: %s', async (isTied) => {
    const made = isTied
      ? randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true })
      : { config, tensors }
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, made.config, made.tensors)
    using model = await Model.load(pool, folder.path, { quantize: 'w4a8', head: 'int4' })
    expect(kindsOf(model, 8)).toEqual(sensitive.slice(0, 3))
    using int8 = await Model.load(pool, folder.path, { quantize: 'w4a8', head: 'int8' })
    expect(kindsOf(int8, 8)).toEqual(sensitive)

    // what is stored is what is loaded again, unless it is asked for otherwise
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using again = await Model.load(pool, saved)
    expect(bitsOf(again)).toEqual(bitsOf(model))
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
    using decoded = await Model.load(pool, saved, { head: 'int8' })
    expect(kindsOf(decoded, 8)).toEqual(sensitive)
    expectSameBits(await logitsOf(decoded, ids), await logitsOf(model, ids))
    const kept = join(folder.path, 'kept')
    await int8.save(kept)
    using narrowed = await Model.load(pool, kept, { head: 'int4' })
    expect(bitsOf(narrowed)).toEqual(bitsOf(model))
  })

  it('refuses a head of another kind, or beside Linears that are not in four bits', async () => {
    const load = (options: LoadOptions) => expect(loadMade(pool, config, tensors, options)).rejects
    await load({ quantize: 'w4a8', head: 'int2' as 'int4' }).toThrow(
      'head: expected one of int8, int4',
    )
    await load({ quantize: 'w8a8', head: 'int4' }).toThrow(
      "head: expected none without `quantize: 'w4a8'`",
    )
    await load({ head: 'int8' }).toThrow(ArgumentError)
  })

  it('holds what quantizeInt4 returns, however many threads quantise', async () => {
    await using wide = await Pool.create({ threads: 3 })
    using model = await loadMade(wide, config, tensors, { quantize: 'w4a8' })
    const name = 'model.layers.0.mlp.up_proj'
    const { data } = tensors[`${name}.weight`]
    const floats = new Float32Array(data.slice().buffer)
    const { weight, scale } = quantizeInt4(floats, { inFeatures: 20, outFeatures: 37 })
    const linear = model.linears.get(name) as Linear
    expectSameBits(linear.scale, scale)
    expect(linear.unpackInt4()).toEqual(weight)
  })
})

describe('quantizeLinears to four bits', () => {
  const load = () => loadMade(pool, config, tensors, { kv: 'bfloat16' })

  it('gives the bits of a model that was loaded so', async () => {
    using model = await load()
    const { widths } = await quantizeLinears(model, { quantize: 'w4a8', skip: [] })
    using loaded = await loadMade(pool, config, tensors, { quantize: 'w4a8' })
    expectSameBits(await logitsOf(model, ids), await logitsOf(loaded, ids))
    expect(widths.length).toBe(15)
    using headless = await load()
    await quantizeLinears(headless, { quantize: 'w4a8', skip: [], head: 'int4' })
    expect(kindsOf(headless, 8)).toEqual(sensitive.slice(0, 3))
    for (const { name, bits, harm } of widths) {
      expect([name, Math.floor(bits), harm]).toEqual([name, bitsOf(model)[name], undefined])
    }
  })

  it('quantises the head beside a budget', async () => {
    for (const text of [undefined, calibration]) {
      using model = await load()
      const options = { quantize: 'w4a8', skip: [], head: 'int4', calibration: text } as const
      await quantizeLinears(model, { ...options, bits: 8 })
      expect(kindsOf(model, 4)).toEqual(['lm_head'])
    }
  })

  it.each([undefined, calibration])(
    'stays within a budget of bits, calibrated: %#',
    async (text) => {
      for (const bits of [4.25, 5, 6, 8]) {
        using model = await load()
        let progress: [number, number] = [0, 1]
        const report = await quantizeLinears(model, {
          ...{ quantize: 'w4a8', skip: [], bits },
          calibration: text,
          onProgress: (...now) => {
            progress = now
          },
        })
        expect(progress[0]).toBe(progress[1])
        const widths = report.widths.filter(({ name }) => name !== 'lm_head')
        expect(report.widths.find(({ name }) => name === 'lm_head')?.bits).toBe(8)
        let [used, total] = [0, 0]
        for (const { name, bits, harm } of widths) {
          const { inFeatures, outFeatures } = model.linears.get(name) as Linear
          total += inFeatures * outFeatures
          used += inFeatures * outFeatures * bits
          if (text === undefined) expect(harm).toBe(undefined)
          else expect(harm).toBeGreaterThan(0)
        }
        expect(used / total).toBeLessThanOrEqual(bits)
        expect(used / total).toBeGreaterThan(bits - 0.7)
        if (bits === 8) expect(kindsOf(model, 4)).toEqual([])
      }
    },
  )

  it('errs less with a calibration, and less with more bits', async () => {
    using float = await load()
    const klOf = async (options: Parameters<typeof quantizeLinears>[1]) => {
      using model = await load()
      await quantizeLinears(model, { quantize: 'w4a8', skip: [], ...options })
      return (await compareModels(model, float, calibration)).kl.mean
    }
    const plain = await klOf({})
    expect(await klOf({ calibration })).toBeLessThan(plain)
    expect(await klOf({ bits: 7 })).toBeLessThan(plain)
  })

  it('refuses a budget that is too small, or has nothing to go with', async () => {
    using model = await load()
    const fails = (options: Parameters<typeof quantizeLinears>[1]) =>
      expect(quantizeLinears(model, options)).rejects
    await fails({ quantize: 'w4a8', bits: 4 }).toThrow('bits: expected a number of at least 4.25')
    await fails({ quantize: 'w4a8', bits: Number.NaN }).toThrow('bits: expected a number')
    await fails({ head: 'int4' }).toThrow("head: expected none without `quantize: 'w4a8'`")
    await fails({ bits: 5 }).toThrow("bits: expected none without `quantize: 'w4a8'`")
    await fails({ quantize: 'none' as 'w8a8' }).toThrow("quantize: expected 'w8a8' or 'w4a8'")
  })
})

describe('a w4a8 model after save and load', () => {
  it.each<[string, ReturnType<typeof randomCheckpoint>, LoadOptions]>([
    ['Llama', randomCheckpoint('LlamaForCausalLM'), {}],
    ['Llama, tied', randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true }), {}],
    ['Qwen2', randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true }), {}],
    ['some floats', randomCheckpoint('LlamaForCausalLM'), { skip: ['gate_proj'] }],
  ])('gives the same bits: %s', async (_, made, { skip }) => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, made.config, made.tensors)
    using model = await Model.load(pool, folder.path, { quantize: 'w4a8', skip })
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using again = await Model.load(pool, saved)
    expect(again.config.quantization).toBe('w4a8')
    expect(bitsOf(again)).toEqual(bitsOf(model))
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))

    const { bits, format, ignore } = readJson(join(saved, 'config.json')).quantization_config
    expect(format).toBe('w4a8')
    for (const [name, stored] of Object.entries(bits)) expect(bitsOf(model)[name]).toBe(stored)
    expect(ignore.includes('model.layers.0.mlp.gate_proj')).toBe(skip !== undefined)

    // and saved once more, from the checkpoint in four bits
    const copied = join(folder.path, 'copied')
    await again.save(copied)
    using copy = await Model.load(pool, copied)
    expectSameBits(await logitsOf(copy, ids), await logitsOf(model, ids))
  })

  it('becomes int8 of the same bits as w8a8, saved too, and float as none', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path, config, tensors)
    using model = await Model.load(pool, folder.path, { quantize: 'w4a8' })
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using int8 = await Model.load(pool, saved, { quantize: 'w8a8' })
    expect(kindsOf(int8, 8).length).toBe(15)
    expectSameBits(await logitsOf(int8, ids), await logitsOf(model, ids))
    const plain = join(folder.path, 'plain')
    await int8.save(plain)
    using again = await Model.load(pool, plain)
    expect(again.config.quantization).toBe('w8a8')
    expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids))
    using float = await Model.load(pool, saved, { quantize: 'none' })
    expect(kindsOf(float, 32).length).toBe(15)
    expect(relativeError(await logitsOf(model, ids), await logitsOf(float, ids))).toBeLessThan(0.03)
    using replaced = await Model.load(pool, folder.path, { kv: 'bfloat16' })
    await using state = await Checkpoint.open(saved)
    await replaceLinears(replaced, state, { skip: [] })
    expectSameBits(await logitsOf(replaced, ids), await logitsOf(model, ids))
  })
})

it('is saved with floats where Linears are loaded so', async () => {
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, config, tensors)
  using model = await Model.load(pool, folder.path, { quantize: 'w4a8' })
  const [saved, mixed] = [join(folder.path, 'saved'), join(folder.path, 'mixed')]
  await model.save(saved)
  using some = await Model.load(pool, saved, { skip: ['up_proj'] })
  await some.save(mixed)
  using again = await Model.load(pool, mixed)
  expect(bitsOf(again)).toEqual(bitsOf(some))
  expectSameBits(await logitsOf(again, ids), await logitsOf(some, ids))
})

describe('a broken w4a8 checkpoint', () => {
  const name = 'model.layers.0.mlp.up_proj.weight'
  const quantization_config = {
    quant_method: 'dotpool',
    format: 'w4a8',
    version: 1,
    group_size: 32,
  }
  const stored = {
    [name]: { dtype: 'U8', shape: [37, 10], data: new Uint8Array(370).fill(0x88) },
    [`${name}_multiplier`]: { dtype: 'I8', shape: [37, 1], data: new Uint8Array(37).fill(1) },
    [`${name}_scale`]: { dtype: 'F32', shape: [37, 1], data: new Uint8Array(148) },
  }

  const load = (changes: object, settings: object = {}) =>
    loadMade(
      pool,
      { ...config, quantization_config: { ...quantization_config, ...settings } },
      { ...tensors, ...stored, ...changes },
    )

  it('loads as long as it is whole', async () => {
    using model = await load({})
    expect(kindsOf(model, 4)).toEqual(['0.mlp.up_proj'])
  })

  it.each<[string, object, object, RegExp]>([
    ['another version', {}, { version: 2 }, /version 2 is not supported, only 1/],
    ['another group', {}, { group_size: 64 }, /group_size 64 is not supported/],
    ['another format', {}, { format: 'w2' }, /format "w2" is not supported/],
    ['no multipliers', { [`${name}_multiplier`]: undefined }, {}, /_multiplier/],
    [
      'a multiplier of 0',
      { [`${name}_multiplier`]: { ...stored[`${name}_multiplier`], data: new Uint8Array(37) } },
      {},
      /up_proj: multipliers: expected integers other than 0/,
    ],
    [
      'weights beyond int8',
      {
        [name]: { ...stored[name], data: new Uint8Array(370) },
        [`${name}_multiplier`]: {
          ...stored[`${name}_multiplier`],
          data: new Uint8Array(37).fill(17),
        },
      },
      {},
      /weights in \[-128, 127\]/,
    ],
    [
      'nibbles of another shape',
      { [name]: { dtype: 'U8', shape: [37, 20], data: new Uint8Array(740) } },
      {},
      /expected shape \[37,10\]/,
    ],
  ])('is refused: %s', async (_, changes, settings, message) => {
    const all = Object.fromEntries(Object.entries(changes).filter(([, tensor]) => tensor))
    if (Object.keys(changes).length > Object.keys(all).length) {
      await using folder = await temporaryFolder()
      const { [`${name}_multiplier`]: _left, ...rest } = stored
      const made = { ...config, quantization_config }
      await writeCheckpoint(folder.path, made, { ...tensors, ...rest })
      return await expectFormatError(Model.load(pool, folder.path), message)
    }
    await expectFormatError(load(all, settings), message)
  })
})

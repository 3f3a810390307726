import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { FormatError } from '#src/errors.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { Metadata } from '#src/model/gguf/metadata.js'
import { tensorType } from '#src/model/gguf/tensor-types.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import {
  bool,
  float32,
  ggmlTypes,
  gguf,
  int32,
  string,
  uint16,
  uint32,
} from '../../support/gguf.js'
import { randomNumbers } from '../../support/random.js'
import { expectSameBits } from '../../support/reference.js'
import { expectNothingOpen } from '../open-files.js'
import { type MadeCheckpoint, randomCheckpoint } from '../random-checkpoint.js'
import {
  expectFormatError,
  f32,
  logitsOf,
  randomF32,
  relativeError,
  temporaryFolder,
  writeCheckpoint,
} from '../support.js'
import { type MadeGguf, toBf16, toGguf } from './make.js'
import { piecesFields } from './tokenizers.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * i * 7 + i) % 53)

async function logitsOfFolder(made: MadeCheckpoint, options?: LoadOptions): Promise<Float32Array> {
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, made.config, made.tensors)
  using model = await Model.load(pool, folder.path, options)
  return await logitsOf(model, ids)
}

async function logitsOfGguf(
  { fields, tensors }: MadeGguf,
  options?: LoadOptions,
): Promise<Float32Array> {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'model.gguf')
  await writeFile(file, gguf(fields, tensors))
  using model = await Model.load(pool, file, options)
  return await logitsOf(model, ids)
}

/** A Llama with every bias that one may have. */
function biased(): MadeCheckpoint {
  const made = randomCheckpoint(
    'LlamaForCausalLM',
    { attention_bias: true, mlp_bias: true },
    { biases: true },
  )
  const sizes = {
    'self_attn.o_proj': 20,
    'mlp.gate_proj': 37,
    'mlp.up_proj': 37,
    'mlp.down_proj': 20,
  }
  for (const i of [0, 1]) {
    for (const [name, size] of Object.entries(sizes)) {
      made.tensors[`model.layers.${i}.${name}.bias`] = randomF32([size], size + i)
    }
  }
  return made
}

function inBf16({ config, tensors }: MadeCheckpoint): MadeCheckpoint {
  const narrowed = Object.entries(tensors).map(([name, tensor]) => [name, toBf16(tensor)])
  return { config, tensors: Object.fromEntries(narrowed) }
}

describe.each<[string, MadeCheckpoint]>([
  ['Llama', randomCheckpoint('LlamaForCausalLM')],
  ['Llama with a tied head', randomCheckpoint('LlamaForCausalLM', { tie_word_embeddings: true })],
  ['Llama with biases', biased()],
  ['Llama in bfloat16', inBf16(randomCheckpoint('LlamaForCausalLM'))],
  ['Qwen2', randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true })],
  ['Qwen3', randomCheckpoint('Qwen3ForCausalLM', {}, { headNorms: true })],
])('%s', (_, made) => {
  it.each<LoadOptions>([{ quantize: 'none' }, { quantize: 'w8a8' }])(
    'gives the logits of the same folder with %o',
    async (options) => {
      const expected = await logitsOfFolder(made, options)
      expectSameBits(await logitsOfGguf(toGguf(made), options), expected, 'logits')
    },
  )
})

describe('RoPE', () => {
  const made = (rope_scaling: object) => randomCheckpoint('LlamaForCausalLM', { rope_scaling })
  const scaled = (fields: MadeGguf['fields']): MadeGguf => {
    const plain = toGguf(randomCheckpoint('LlamaForCausalLM'))
    return { ...plain, fields: { ...plain.fields, ...fields } }
  }

  it('is stretched linearly', async () => {
    const expected = await logitsOfFolder(made({ type: 'linear', factor: 4 }))
    const type = { 'llama.rope.scaling.type': string('linear') }
    const factor = { 'llama.rope.scaling.factor': float32(4) }
    expectSameBits(await logitsOfGguf(scaled({ ...type, ...factor })), expected, 'logits')
    expectSameBits(await logitsOfGguf(scaled(factor)), expected, 'without a type')
    const none = scaled({ ...factor, 'llama.rope.scaling.type': string('none') })
    const plain = await logitsOfFolder(randomCheckpoint('LlamaForCausalLM'))
    expectSameBits(await logitsOfGguf(none), plain, 'of no type')
  })

  it('is stretched by YaRN', async () => {
    const yarn = { original_max_position_embeddings: 75, beta_fast: 16, beta_slow: 2 }
    const expected = await logitsOfFolder(made({ type: 'yarn', factor: 4, ...yarn }))
    const found = await logitsOfGguf(
      scaled({
        'llama.rope.scaling.type': string('yarn'),
        'llama.rope.scaling.factor': float32(4),
        'llama.rope.scaling.original_context_length': uint32(75),
        'llama.rope.scaling.yarn_beta_fast': float32(16),
        'llama.rope.scaling.yarn_beta_slow': float32(2),
      }),
    )
    expectSameBits(found, expected, 'logits')
  })

  it("is divided by Llama 3.1's factors, as the file states them", async () => {
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4 }
    const original = { original_max_position_embeddings: 64 }
    const expected = await logitsOfFolder(made({ rope_type: 'llama3', ...scaling, ...original }))
    const factors = Array.from({ length: 5 }, (_, i) => {
      const turns = 64 / (2 * Math.PI * 10_000 ** ((2 * i) / 10))
      const kept = Math.min(Math.max((turns - 1) / 3, 0), 1)
      return 1 / ((1 - kept) / 8 + kept)
    })
    const { fields, tensors } = scaled({})
    const data = f32([5], factors).data
    const freqs = { 'rope_freqs.weight': { type: ggmlTypes.F32, dims: [5], data } }
    const found = await logitsOfGguf({ fields, tensors: { ...freqs, ...tensors } })
    expect(relativeError(found, expected)).toBeLessThan(1e-6)
    expect(relativeError(await logitsOfGguf({ fields, tensors }), expected)).toBeGreaterThan(1e-3)
  })
})

describe('quantised blocks', () => {
  const sizes = {
    hidden_size: 256,
    intermediate_size: 256,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 64,
  }

  /** Matrices in random blocks with small scales, and the same in float32. */
  function blocks(name: keyof typeof ggmlTypes, halves: number[]): [MadeGguf, MadeCheckpoint] {
    const made = randomCheckpoint('LlamaForCausalLM', sizes)
    const file = toGguf(made)
    const type = tensorType(ggmlTypes[name], (problem) => new FormatError('', problem))
    const random = randomNumbers(1)
    // q and k have equal rows, so that their order does not matter here
    for (const [hfName, { shape }] of Object.entries(made.tensors)) {
      if (shape.length < 2) continue
      const rowBlocks = shape[1] / type.blockSize
      const size = shape[0] * rowBlocks * type.blockBytes
      const data = Uint8Array.from({ length: size }, () => random() * 256)
      for (let at = 0; at < size; at += type.blockBytes) {
        for (const half of halves) data.set([0, 0x14 + random() * 4], at + half)
      }
      if (/[qk]_proj/.test(hfName)) {
        const row = rowBlocks * type.blockBytes
        for (let at = row; at < size; at += row) data.copyWithin(at, 0, row)
      }
      const values = new Float32Array(shape[0] * shape[1])
      type.dequantize?.(data, values)
      made.tensors[hfName] = f32(shape, values)
      const [ggufName] = Object.keys(
        toGguf({ config: made.config, tensors: { [hfName]: made.tensors[hfName] } }).tensors,
      )
      file.tensors[ggufName] = { type: ggmlTypes[name], dims: shape, data }
    }
    return [file, made]
  }

  it.each<[keyof typeof ggmlTypes, number[]]>([
    ['Q4_0', [0]],
    ['Q8_0', [0]],
    ['Q4_K', [0, 2]],
    ['Q6_K', [208]],
  ])('in %s give the logits of their float32 values', async (name, halves) => {
    const [file, made] = blocks(name, halves)
    const expected = await logitsOfFolder(made, { quantize: 'w8a8' })
    expectSameBits(await logitsOfGguf(file, { quantize: 'w8a8' }), expected, name)
  })
})

describe('several files', () => {
  const made = randomCheckpoint('Qwen2ForCausalLM', {}, { biases: true })
  const { fields, tensors } = toGguf(made)
  const count = Object.keys(tensors).length

  /** Writes the model as three files; `change` can corrupt the fields of one. */
  async function write(folder: string, change: (fields: MadeGguf['fields'], i: number) => void) {
    for (const i of [0, 1, 2]) {
      const split: MadeGguf['fields'] = {
        'split.no': uint16(i),
        'split.count': uint16(3),
        'split.tensors.count': int32(count),
      }
      if (i === 0) Object.assign(split, fields)
      change(split, i)
      const part = Object.entries(tensors).filter((_, j) => j % 3 === i)
      const file = join(folder, `made-0000${i + 1}-of-00003.gguf`)
      await writeFile(file, gguf(split, Object.fromEntries(part)))
    }
    return join(folder, 'made-00001-of-00003.gguf')
  }

  it('load as one model, by the name of the first', async () => {
    await using folder = await temporaryFolder()
    using _open = expectNothingOpen()
    const file = await write(folder.path, () => {})
    using model = await Model.load(pool, file)
    expectSameBits(await logitsOf(model, ids), await logitsOfFolder(made), 'logits')
  })

  it.each<[string, (fields: MadeGguf['fields'], i: number) => void, RegExp]>([
    [
      'a wrong index',
      (fields, i) => {
        if (i === 2) fields['split.no'] = uint16(1)
      },
      /made-00003-of-00003\.gguf: says it is part 2 of 3, not 3 of 3/,
    ],
    [
      'a wrong count of tensors',
      (fields) => {
        fields['split.tensors.count'] = int32(5)
      },
      /the files hold \d+ tensors, but split\.tensors\.count is 5/,
    ],
    [
      'a count that differs from its name',
      (fields) => {
        fields['split.count'] = uint16(4)
      },
      /is one of 4 files, which must be named like model-00001-of-00004\.gguf/,
    ],
  ])('are refused with %s', async (_, change, message) => {
    await using folder = await temporaryFolder()
    using _open = expectNothingOpen()
    await expectFormatError(Model.load(pool, await write(folder.path, change)), message)
  })

  it('are refused by another name, or if one is missing', async () => {
    await using folder = await temporaryFolder()
    using _open = expectNothingOpen()
    const first = await write(folder.path, () => {})
    const second = first.replace('00001-of', '00002-of')
    await expectFormatError(
      Model.load(pool, second),
      /is part 2 of 3: name the first, made-00001-of-00003\.gguf/,
    )
    await writeFile(second, '')
    await expectFormatError(Model.load(pool, first), /made-00002.*is not a GGUF file/)
  })
})

describe('a model that is refused', () => {
  const plain = toGguf(randomCheckpoint('LlamaForCausalLM'))
  const without = (name: string) => {
    const { [name]: _, ...tensors } = plain.tensors
    return { tensors }
  }
  const field = (key: string, value: MadeGguf['fields'][string]) => ({
    fields: { ...plain.fields, [key]: value },
  })

  it.each<[string, Partial<MadeGguf>, RegExp]>([
    [
      'another architecture',
      field('general.architecture', string('mamba')),
      /model\.gguf: general\.architecture "mamba" is not supported, only llama, qwen2, qwen3/,
    ],
    ['direction', field('llama.attention.causal', bool(false)), /is_causal false is not supp/],
    ['experts', field('llama.expert_count', uint32(8)), /llama\.expert_count 8: mixtures of exp/],
    [
      'missing sizes',
      { fields: { 'general.architecture': string('llama') } },
      /head_count: expected/,
    ],
    [
      'rotation of a part of the head',
      field('llama.rope.dimension_count', uint32(4)),
      /llama\.rope\.dimension_count is not the size of a head, 10, which is not supported/,
    ],
    [
      'an unknown kind of RoPE',
      {
        fields: {
          ...plain.fields,
          'llama.rope.scaling.type': string('longrope'),
          'llama.rope.scaling.factor': float32(4),
        },
      },
      /llama\.rope\.scaling\.type "longrope" is not supported, only none, linear, yarn/,
    ],
    ['a missing embedding', without('token_embd.weight'), /tensor token_embd\.weight is missing/],
    [
      'a missing tensor',
      without('blk.1.attn_q.weight'),
      /tensor model\.layers\.1\.self_attn\.q_proj\.weight is missing/,
    ],
    [
      'a tensor of another kind of model',
      {
        tensors: { ...plain.tensors, 'blk.0.ffn_gate_inp.weight': plain.tensors['output.weight'] },
      },
      /tensor blk\.0\.ffn_gate_inp\.weight belongs to no part of the model/,
    ],
    [
      'factors of RoPE of another length',
      { tensors: { ...plain.tensors, 'rope_freqs.weight': plain.tensors['output_norm.weight'] } },
      /tensor rope_freqs\.weight: expected F32 of shape \[5\], got F32 of \[20\]/,
    ],
  ])('%s', async (_, changes, message) => {
    using _open = expectNothingOpen()
    await expectFormatError(logitsOfGguf({ ...plain, ...changes }), message)
  })
})

it('is saved as a W8A8 folder that gives the same logits', async () => {
  const made = toGguf(randomCheckpoint('LlamaForCausalLM'))
  await using folder = await temporaryFolder()
  const [file, saved] = [join(folder.path, 'model.gguf'), join(folder.path, 'saved')]
  await writeFile(file, gguf(made.fields, made.tensors))
  using model = await Model.load(pool, file, { quantize: 'w8a8' })
  await model.save(saved)
  expect((await readdir(saved)).toSorted()).toEqual([
    'config.json',
    'model.safetensors',
    'tokenizer_config.json',
  ])
  using again = await Model.load(pool, saved)
  expectSameBits(await logitsOf(again, ids), await logitsOf(model, ids), 'logits')
  await using before = await Checkpoint.open(file)
  await using after = await Checkpoint.open(saved)
  const { quantization, ...config } = after.config
  expect(quantization).toBe('w8a8')
  expect({ ...before.config, quantization: undefined }).toEqual({
    ...config,
    quantization: undefined,
  })
  expect(after.dataBytes).toBeLessThan(before.dataBytes)
})

it('is saved without parsing its vocabulary on the event loop', async () => {
  const { fields, tensors } = toGguf(randomCheckpoint('LlamaForCausalLM', { vocab_size: 2048 }))
  await using folder = await temporaryFolder()
  const [file, saved] = [join(folder.path, 'model.gguf'), join(folder.path, 'saved')]
  await writeFile(file, gguf({ ...fields, ...piecesFields() }, tensors))
  using model = await Model.load(pool, file, { quantize: 'w8a8' })
  const parse = vi.spyOn(Metadata.prototype, 'texts')
  onTestFinished(() => parse.mockRestore())
  await model.save(saved)
  expect(parse).not.toHaveBeenCalled()
  using again = await Model.load(pool, saved)
  const text = 'hello, the hell 世界'
  expect(again.tokenizer.encode(text)).toEqual(model.tokenizer.encode(text))
  await using checkpoint = await Checkpoint.open(saved)
  await using before = await Checkpoint.open(file)
  expect(checkpoint.config.eosTokenIds).toEqual(before.config.eosTokenIds)
})

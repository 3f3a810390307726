import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import {
  expectFormatError,
  randomF32,
  type StoredTensor,
  temporaryFolder,
  tinyConfig,
  tinyTensors,
  writeCheckpoint,
} from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

/** The tiny checkpoint with biases for the named Linears, in both layers. */
function withBiases(sizes: Record<string, number>): Record<string, StoredTensor> {
  const tensors = tinyTensors()
  for (const i of [0, 1]) {
    for (const [name, size] of Object.entries(sizes)) {
      tensors[`model.layers.${i}.self_attn.${name}.bias`] = randomF32([size], size + i)
    }
  }
  return tensors
}

async function load(architecture: string, tensors: Record<string, StoredTensor>, changes = {}) {
  await using folder = await temporaryFolder()
  const config = { ...tinyConfig, ...changes, architectures: [architecture] }
  await writeCheckpoint(folder.path, config, tensors)
  return await Model.load(pool, folder.path)
}

describe('the biases of attention', () => {
  const qkv = { q_proj: 24, k_proj: 12, v_proj: 12 }
  const all = { ...qkv, o_proj: 12 }

  it.each<[string, Record<string, number>, object]>([
    ['Qwen2ForCausalLM', qkv, {}],
    ['LlamaForCausalLM', all, { attention_bias: true }],
    ['LlamaForCausalLM', {}, {}],
    ['MistralForCausalLM', {}, {}],
  ])('are read where %s has them', async (architecture, sizes, changes) => {
    using model = await load(architecture, withBiases(sizes), changes)
    const has = [...model.linears].filter(([, linear]) => /bias=true/.test(`${linear}`))
    expect(has.length).toBe(2 * Object.keys(sizes).length)
  })

  it.each<[string, Record<string, number>, object, RegExp]>([
    ['Qwen2ForCausalLM', {}, {}, /tensor model\.layers\.0\.self_attn\.q_proj\.bias is missing/],
    ['Qwen2ForCausalLM', all, {}, /self_attn\.o_proj\.bias belongs to no part of the model/],
    [
      'Qwen2ForCausalLM',
      { ...qkv, v_proj: 13 },
      {},
      /v_proj\.bias: expected shape \[12\], got \[13\]/,
    ],
    ['MistralForCausalLM', qkv, {}, /q_proj\.bias belongs to no part of the model/],
    ['LlamaForCausalLM', qkv, { attention_bias: true }, /o_proj\.bias is missing/],
  ])('are refused where they do not match %s', async (architecture, sizes, changes, message) => {
    await expectFormatError(load(architecture, withBiases(sizes), changes), message)
  })
})

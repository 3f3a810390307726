import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '#src/model/config.js'
import { fixture, readJson } from './support.js'

const base = readJson(join(fixture, 'config.json'))
const { quantization_config: w8a8, ...float } = base

const parse = (changes: object) => parseConfig('config.json', { ...float, ...changes })

describe('config.json', () => {
  it('of the W8A8 fixture', () => {
    expect(parseConfig('config.json', base)).toEqual({
      architecture: 'qwen3',
      vocabSize: 2048,
      hiddenSize: 256,
      intermediateSize: 768,
      numHiddenLayers: 6,
      numAttentionHeads: 8,
      numKeyValueHeads: 4,
      headDim: 64,
      maxPositionEmbeddings: 1024,
      rmsNormEps: 1e-6,
      ropeTheta: 1e6,
      tieWordEmbeddings: true,
      attentionBias: false,
      mlpBias: false,
      eosTokenIds: [0],
      quantization: 'w8a8',
    })
  })

  it('finds rope_theta where older and newer files have it, and 10000 where none does', () => {
    expect(parse({ rope_parameters: null, rope_theta: 5e5 }).ropeTheta).toBe(5e5)
    expect(parse({ rope_parameters: { rope_theta: 7 }, rope_theta: 5e5 }).ropeTheta).toBe(7)
    expect(parse({ rope_parameters: undefined }).ropeTheta).toBe(10_000)
  })

  it('fills in what files leave out', () => {
    const config = parse({ head_dim: null, num_key_value_heads: undefined, eos_token_id: null })
    expect(config).toMatchObject({ headDim: 32, numKeyValueHeads: 8, eosTokenIds: [] })
    expect(parse({ eos_token_id: [1, 2] }).eosTokenIds).toEqual([1, 2])
    expect(parse({ architectures: ['LlamaForCausalLM'] }).architecture).toBe('llama')
    expect(parse({}).quantization).toBe('none')
  })
})

describe('a config.json that is refused', () => {
  const withGroup = (changes: object) => ({
    quantization_config: {
      ...w8a8,
      config_groups: { group_0: { ...w8a8.config_groups.group_0, ...changes } },
    },
  })
  const { weights, input_activations: activations } = w8a8.config_groups.group_0

  it.each<[string, object, RegExp]>([
    [
      'unknown architecture',
      { architectures: ['MambaForCausalLM'] },
      /"MambaForCausalLM" is not supp/,
    ],
    ['inherited architecture', { architectures: ['toString'] }, /architecture "toString"/],
    ['no architecture', { architectures: [] }, /architecture nothing is not supported, only Qwen3/],
    ['activation', { hidden_act: 'gelu' }, /hidden_act "gelu" is not supported, only "silu"/],
    ['sliding window', { use_sliding_window: true }, /use_sliding_window true/],
    ['layer type', { layer_types: ['linear_attention'] }, /layer_types "linear_attention"/],
    ['rope type', { rope_parameters: { rope_type: 'yarn' } }, /rope_parameters\.rope_type "yarn"/],
    ['rope scaling', { rope_scaling: { rope_type: 'llama3' } }, /rope_scaling\.rope_type "llama3"/],
    ['old rope scaling', { rope_scaling: { type: 'linear' } }, /rope_scaling\.type "linear"/],
    [
      'partial rotary',
      { partial_rotary_factor: 0.5, rope_parameters: null },
      /partial_rotary_factor/,
    ],
    [
      'rope_theta',
      { rope_parameters: { rope_theta: 0 } },
      /rope_theta: expected a positive number/,
    ],
    ['missing size', { vocab_size: undefined }, /vocab_size: expected an integer.*got nothing/],
    ['negative size', { num_hidden_layers: -1 }, /num_hidden_layers: .*got -1/],
    ['giant size', { hidden_size: 2 ** 31 }, /hidden_size: .*got 2147483648/],
    ['text for a size', { hidden_size: '256' }, /hidden_size: .*got "256"/],
    ['uneven heads', { num_key_value_heads: 3 }, /3 key\/value heads do not divide 8/],
    ['odd head', { head_dim: 33 }, /head_dim 33 is odd/],
    ['fractional head', { head_dim: null, hidden_size: 100 }, /head_dim: expected an integer/],
    ['eps', { rms_norm_eps: 0 }, /rms_norm_eps: expected a positive number/],
    ['flag', { tie_word_embeddings: 1 }, /tie_word_embeddings: expected true or false, got 1/],
    ['eos', { eos_token_id: 'end' }, /eos_token_id: "end" is no id/],
    [
      'quantizer',
      { quantization_config: { ...w8a8, quant_method: 'gptq' } },
      /quant_method "gptq"/,
    ],
    ['format', { quantization_config: { ...w8a8, format: 'pack-quantized' } }, /"pack-quantized"/],
    ['4 bits', withGroup({ weights: { ...weights, num_bits: 4 } }), /group_0\.weights\.num_bits 4/],
    [
      'groups',
      withGroup({ weights: { ...weights, strategy: 'group' } }),
      /weights\.strategy "group"/,
    ],
    ['zero points', withGroup({ weights: { ...weights, symmetric: false } }), /symmetric false/],
    ['float8', withGroup({ weights: { ...weights, type: 'float' } }), /weights\.type "float"/],
    ['weight-only', withGroup({ input_activations: null }), /input_activations is not an object/],
    [
      'static',
      withGroup({ input_activations: { ...activations, dynamic: false } }),
      /dynamic false/,
    ],
    ['outputs', withGroup({ output_activations: {} }), /output_activations an object is not supp/],
  ])('%s', (_, changes, message) => {
    expect(() => parse(changes)).toThrow(message)
    expect(() => parse(changes)).toThrow(expect.objectContaining({ name: 'FormatError' }))
  })

  it('not an object', () => {
    expect(() => parseConfig('config.json', [])).toThrow('config.json: the file is not an object')
  })
})

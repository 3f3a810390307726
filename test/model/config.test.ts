import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '#src/model/config/config.js'
import { fixture, readJson } from './support.js'

const base = readJson(join(fixture, 'config.json'))
const { quantization_config: w8a8, ...float } = base

const parse = (changes: object) => parseConfig('config.json', { ...float, ...changes })

describe('config.json', () => {
  it('of the W8A8 fixture is read', () => {
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
      windows: new Array(6).fill(undefined),
      ropeTheta: 1e6,
      rope: { type: 'default', theta: 1e6 },
      tieWordEmbeddings: true,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      eosTokenIds: [0],
      quantization: 'w8a8',
    })
  })

  it('finds rope_theta in older and newer files, and defaults to 10000', () => {
    expect(parse({ rope_parameters: null, rope_theta: 5e5 }).ropeTheta).toBe(5e5)
    expect(parse({ rope_parameters: { rope_theta: 7 }, rope_theta: 5e5 }).ropeTheta).toBe(7)
    expect(parse({ rope_parameters: undefined }).ropeTheta).toBe(10_000)
  })

  it('fills in missing fields', () => {
    const config = parse({ head_dim: null, num_key_value_heads: undefined, eos_token_id: null })
    expect(config).toMatchObject({ headDim: 32, numKeyValueHeads: 8, eosTokenIds: [] })
    expect(parse({ eos_token_id: [1, 2] }).eosTokenIds).toEqual([1, 2])
    expect(parse({ architectures: ['LlamaForCausalLM'] }).architecture).toBe('llama')
    expect(parse({}).quantization).toBe('none')
  })
})

describe('biases', () => {
  const biases = (architecture: string, changes: object) => {
    const config = parse({ architectures: [architecture], ...changes })
    return [config.qkvBias, config.outputBias]
  }

  it('of q, k, v and of o follow the architecture, or the file', () => {
    for (const attention_bias of [true, false]) {
      expect(biases('Qwen2ForCausalLM', { attention_bias })).toEqual([true, false])
      expect(biases('MistralForCausalLM', { attention_bias })).toEqual([false, false])
      for (const name of ['Qwen3ForCausalLM', 'LlamaForCausalLM']) {
        expect(biases(name, { attention_bias })).toEqual([attention_bias, attention_bias])
      }
    }
  })
})

describe('sliding windows', () => {
  const windows = (architecture: string, changes: object) =>
    parse({ architectures: [architecture], layer_types: undefined, ...changes }).windows
  const all = (window: number | undefined) => new Array(6).fill(window)
  const [full, sliding] = ['full_attention', 'sliding_attention']
  const mixed = [full, sliding, full, sliding, full, sliding]

  it('apply to all layers of Mistral, unless the file says null', () => {
    expect(windows('MistralForCausalLM', { sliding_window: 100 })).toEqual(all(100))
    expect(windows('MistralForCausalLM', { sliding_window: undefined })).toEqual(all(4096))
    expect(windows('MistralForCausalLM', { sliding_window: null })).toEqual(all(undefined))
  })

  it.each(['Qwen2ForCausalLM', 'Qwen3ForCausalLM'])('apply to the right layers of %s', (name) => {
    const window = { sliding_window: 100, use_sliding_window: true }
    expect(windows(name, { sliding_window: 100 })).toEqual(all(undefined))
    expect(windows(name, window)).toEqual(all(undefined)) // layer 28 and later
    expect(windows(name, { ...window, max_window_layers: 4 })).toEqual([
      ...new Array(4).fill(undefined),
      100,
      100,
    ])
    expect(windows(name, { ...window, max_window_layers: 0, layer_types: mixed })).toEqual(
      mixed.map((type) => (type === sliding ? 100 : undefined)),
    )
    expect(windows(name, { ...window, sliding_window: null, max_window_layers: 0 })).toEqual(
      all(undefined),
    )
  })

  it('are ignored for Llama', () => {
    expect(windows('LlamaForCausalLM', { sliding_window: 100 })).toEqual(all(undefined))
  })

  it.each<[string, string, object, RegExp]>([
    ['another kind', 'Qwen3', { layer_types: all('linear_attention' as never) }, /"linear_attent/],
    ['no window', 'Qwen3', { layer_types: mixed }, /"sliding_attention" is not supported here/],
    ['too few layers', 'Qwen3', { layer_types: [full] }, /names 1 of 6 layers/],
    ['Llama layers', 'Llama', { layer_types: mixed }, /"sliding_attention" is not supported here/],
    ['Llama', 'Llama', { use_sliding_window: true }, /use_sliding_window true/],
    ['Mistral layers', 'Mistral', { layer_types: mixed, sliding_window: 9 }, /"full_attention"/],
    ['an empty window', 'Mistral', { sliding_window: 0 }, /sliding_window: expected an integer/],
  ])('are refused: %s', (_, name, changes, message) => {
    expect(() => windows(`${name}ForCausalLM`, changes)).toThrow(message)
  })
})

describe('RoPE', () => {
  const longrope = (changes: object) => ({
    rope_type: 'longrope',
    attention_factor: 1,
    short_factor: [1, 2],
    long_factor: [1, 2],
    ...changes,
  })
  const rope = (changes: object) => parse({ rope_parameters: undefined, ...changes }).rope
  const theta = 5e5

  it('is read from flat and from nested files', () => {
    expect(rope({ rope_theta: theta })).toEqual({ type: 'default', theta })
    const scaling = { type: 'linear', factor: 4 }
    const linear = { type: 'linear', theta, factor: 4 }
    expect(rope({ rope_theta: theta, rope_scaling: scaling })).toEqual(linear)
    expect(
      rope({ rope_parameters: { rope_type: 'linear', factor: 4, rope_theta: theta } }),
    ).toEqual(linear)
  })

  it('of every type has its parameters', () => {
    const of = (rope_scaling: object) => rope({ rope_theta: theta, rope_scaling })
    expect(of({ rope_type: 'dynamic', factor: 2 })).toEqual({
      type: 'dynamic',
      theta,
      factor: 2,
      originalMaxPositionEmbeddings: 1024,
    })
    const llama3 = {
      rope_type: 'llama3',
      factor: 32,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    }
    expect(of(llama3)).toEqual({
      type: 'llama3',
      theta,
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    })
    const yarn = {
      type: 'yarn',
      theta,
      factor: 4,
      originalMaxPositionEmbeddings: 1024,
      attentionFactor: undefined,
      mscale: undefined,
      mscaleAllDim: undefined,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
    }
    expect(of({ rope_type: 'yarn', factor: 4 })).toEqual(yarn)
    const chosen = { attention_factor: 1.1, mscale: 0.7, mscale_all_dim: 0.8, truncate: false }
    const betas = { beta_fast: 16, beta_slow: 2, original_max_position_embeddings: 256 }
    expect(of({ rope_type: 'yarn', ...chosen, ...betas })).toEqual({
      ...yarn,
      factor: 4, // 1024 / 256
      originalMaxPositionEmbeddings: 256,
      attentionFactor: 1.1,
      mscale: 0.7,
      mscaleAllDim: 0.8,
      betaFast: 16,
      betaSlow: 2,
      truncate: false,
    })
  })

  it("divides by longrope's factors where those for short and long texts are equal", () => {
    const { headDim } = parse({})
    const factors = Array.from({ length: headDim / 2 }, (_, i) => 1 + i)
    const rope_scaling = longrope({ short_factor: factors, long_factor: factors })
    expect(rope({ rope_theta: theta, rope_scaling })).toEqual({ type: 'longrope', theta, factors })
  })

  it('stretches the context where the file states the original length', () => {
    const length = (rope_scaling: object) => parse({ rope_scaling }).maxPositionEmbeddings
    expect(length({ type: 'yarn', factor: 4, original_max_position_embeddings: 1024 })).toBe(4096)
    expect(length({ type: 'yarn', factor: 4, original_max_position_embeddings: 256 })).toBe(1024)
    expect(length({ type: 'dynamic', factor: 2.5 })).toBe(2560)
    expect(length({ type: 'linear', factor: 2 })).toBe(1024)
  })

  it.each<[string, object, RegExp]>([
    [
      'an unknown type',
      { rope_type: 'proportional' },
      /rope_type "proportional" is not supported, only def/,
    ],
    ['longrope with other factors for long texts', longrope({ long_factor: [1, 3] }), /the same/],
    ['longrope with too few factors', longrope({ long_factor: [], short_factor: [] }), /0 factors/],
    ['longrope that scales attention', longrope({ attention_factor: 2 }), /attention_factor 2/],
    ['longrope with a factor of 0', longrope({ short_factor: [0] }), /positive short_factor/],
    ['an old type', { type: 'su' }, /rope_type "su"/],
    ['stretching without a type', { factor: 2 }, /rope_scaling\.factor 2 is not supported/],
    [
      'a missing factor',
      { type: 'linear' },
      /rope_scaling\.factor: expected a number above 0, got nothing/,
    ],
    [
      'a string as a factor',
      { type: 'dynamic', factor: '2' },
      /factor: expected a number.*got "2"/,
    ],
    [
      'equal bands',
      { type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 },
      /high_freq_factor 4 is not above low_freq_factor 4/,
    ],
    [
      'a negative mscale',
      { type: 'yarn', factor: 2, mscale: -1 },
      /mscale: expected a number of at/,
    ],
    [
      'rotation of a part of the head',
      { partial_rotary_factor: 0.5 },
      /rope_scaling\.partial_rotary_factor 0\.5/,
    ],
  ])('is refused: %s', (_, rope_scaling, message) => {
    expect(() => rope({ rope_scaling })).toThrow(message)
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
    ['direction', { is_causal: false }, /is_causal false is not supported, only true/],
    ['activation', { hidden_act: 'gelu' }, /hidden_act "gelu" is not supported, only "silu"/],
    [
      'partial rotary',
      { partial_rotary_factor: 0.5, rope_parameters: null },
      /partial_rotary_factor/,
    ],
    [
      'rope_theta',
      { rope_parameters: { rope_theta: 0 } },
      /rope_theta: expected a number above 1, got 0/,
    ],
    ['missing size', { vocab_size: undefined }, /vocab_size: expected an integer.*got nothing/],
    ['negative size', { num_hidden_layers: -1 }, /num_hidden_layers: .*got -1/],
    ['too many layers', { num_hidden_layers: 1e9 }, /num_hidden_layers 1000000000 is above 10000/],
    ['giant size', { hidden_size: 2 ** 31 }, /hidden_size: .*got 2147483648/],
    ['a string as a size', { hidden_size: '256' }, /hidden_size: .*got "256"/],
    ['uneven heads', { num_key_value_heads: 3 }, /3 key\/value heads do not divide 8/],
    ['odd head', { head_dim: 33 }, /head_dim 33 is odd/],
    ['long heads', { head_dim: 4096 }, /are more than attention has room for/],
    [
      'heads that share',
      { num_attention_heads: 1024, num_key_value_heads: 1, head_dim: 64 },
      /1024 query heads of 64 elements for a key\/value head are more/,
    ],
    ['fractional head', { head_dim: null, hidden_size: 100 }, /head_dim: expected an integer/],
    ['eps', { rms_norm_eps: 0 }, /rms_norm_eps: expected a number above 0/],
    ['flag', { tie_word_embeddings: 1 }, /tie_word_embeddings: expected true or false, got 1/],
    ['eos', { eos_token_id: 'end' }, /eos_token_id: expected a token id.*got "end"/],
    [
      'quantizer',
      { quantization_config: { ...w8a8, quant_method: 'fp8' } },
      /quant_method "fp8" is not supported, only "compressed-tensors", "gptq", "awq", "dotpool"/,
    ],
    [
      'format',
      { quantization_config: { ...w8a8, format: 'float-quantized' } },
      /format "float-quantized" is not supported, only "int-quantized", "pack-quantized"/,
    ],
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

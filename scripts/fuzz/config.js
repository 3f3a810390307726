import { freezeConfig, parseConfig } from '../../dist/src/model/config/config.js'
import { linearSpecs, normSizes } from '../../dist/src/model/config/parameters.js'
import { ropeFrequencies } from '../../dist/src/model/decoder/rope-frequencies.js'
import { parseJson } from '../../dist/src/model/json/json.js'
import { drawJson, FILE } from './target.js'

const qwen3 = {
  architectures: ['Qwen3ForCausalLM'],
  vocab_size: 6,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  hidden_act: 'silu',
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  rope_scaling: {
    rope_type: 'yarn',
    factor: 4,
    original_max_position_embeddings: 16,
    beta_fast: 32,
  },
  tie_word_embeddings: true,
  attention_bias: false,
  eos_token_id: [5],
  use_sliding_window: true,
  sliding_window: 16,
  max_window_layers: 1,
  layer_types: ['full_attention', 'sliding_attention'],
}

const int8 = { num_bits: 8, type: 'int', symmetric: true }
const { layer_types: _, rope_scaling: __, ...plain } = qwen3

const configs = [
  qwen3,
  {
    ...plain,
    architectures: ['LlamaForCausalLM'],
    use_sliding_window: false,
    sliding_window: null,
    max_window_layers: undefined,
    rope_parameters: {
      rope_type: 'llama3',
      rope_theta: 5e5,
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 16,
    },
    quantization_config: {
      quant_method: 'compressed-tensors',
      format: 'int-quantized',
      ignore: ['lm_head'],
      config_groups: {
        group_0: {
          targets: ['Linear'],
          weights: { ...int8, strategy: 'channel', dynamic: false },
          input_activations: { ...int8, strategy: 'token', dynamic: true },
          output_activations: null,
        },
      },
    },
  },
  {
    ...plain,
    architectures: ['Qwen2ForCausalLM'],
    rope_scaling: { type: 'longrope', short_factor: [1, 2], long_factor: [1, 2], factor: 2 },
  },
  {
    ...plain,
    architectures: ['MistralForCausalLM'],
    use_sliding_window: undefined,
    rope_scaling: { type: 'dynamic', factor: 2 },
  },
]

/** @type {import('./target.js').Target} */
export const config = {
  name: 'config',
  generate: drawJson(configs),
  open(bytes) {
    const parsed = parseConfig(FILE, parseJson(FILE, bytes))
    const { headDim, rope, maxPositionEmbeddings, numHiddenLayers } = parsed
    return [
      () => freezeConfig(parsed),
      () => numHiddenLayers < 20 && [linearSpecs(parsed), normSizes(parsed)],
      () => headDim < 1000 && ropeFrequencies(headDim, rope, maxPositionEmbeddings - 1),
    ]
  },
}

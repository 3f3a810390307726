import { FormatError } from '../errors.js'
import { Fields, show } from './fields.js'

/** The decoders that this version builds, by the name in `architectures`. */
const architectures = { Qwen3ForCausalLM: 'qwen3', LlamaForCausalLM: 'llama' } as const

export type Architecture = (typeof architectures)[keyof typeof architectures]

/** The part of a checkpoint's config.json that decides the arithmetic, under the same names. */
export interface ModelConfig {
  readonly architecture: Architecture
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly numHiddenLayers: number
  readonly numAttentionHeads: number
  /** Each serves numAttentionHeads / numKeyValueHeads query heads. */
  readonly numKeyValueHeads: number
  readonly headDim: number
  /** The most ids of one sequence. */
  readonly maxPositionEmbeddings: number
  readonly rmsNormEps: number
  readonly ropeTheta: number
  /** The head's weight is the embedding. */
  readonly tieWordEmbeddings: boolean
  /** q, k, v and o have a bias. */
  readonly attentionBias: boolean
  /** gate, up and down have a bias. */
  readonly mlpBias: boolean
  /** Ids that end a text. */
  readonly eosTokenIds: readonly number[]
  /** How the checkpoint stores its Linears: `w8a8` for int8 weights with float32 scales. */
  readonly quantization: 'w8a8' | 'none'
}

/**
 * Checks a parsed config.json. What would change the arithmetic in a way that this version does not
 * know is refused by name, because the alternative is wrong text.
 *
 * @param file named in errors
 * @param json the parsed file
 * @throws FormatError
 */
export function parseConfig(file: string, json: unknown): ModelConfig {
  const fields = new Fields(file, json)
  const architecture = parseArchitecture(file, fields)
  fields.only('hidden_act', 'silu', undefined)
  fields.only('use_sliding_window', false, undefined)
  for (const type of fields.list('layer_types')) {
    if (type !== 'full_attention') {
      throw new FormatError(file, `layer_types ${show(type)} is not supported`)
    }
  }
  const hiddenSize = fields.integer('hidden_size', 1)
  const numAttentionHeads = fields.integer('num_attention_heads', 1)
  const config: ModelConfig = {
    architecture,
    vocabSize: fields.integer('vocab_size', 1),
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size', 1),
    numHiddenLayers: fields.integer('num_hidden_layers', 1),
    numAttentionHeads,
    numKeyValueHeads: fields.integer('num_key_value_heads', 1, numAttentionHeads),
    headDim: fields.integer('head_dim', 2, hiddenSize / numAttentionHeads),
    maxPositionEmbeddings: fields.integer('max_position_embeddings', 1),
    rmsNormEps: fields.positive('rms_norm_eps'),
    ropeTheta: parseRopeTheta(fields),
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', false),
    attentionBias: fields.boolean('attention_bias', false),
    mlpBias: fields.boolean('mlp_bias', false),
    eosTokenIds: parseTokenIds(file, fields),
    quantization: parseQuantization(fields.object('quantization_config')),
  }
  if (config.numAttentionHeads % config.numKeyValueHeads !== 0) {
    throw new FormatError(
      file,
      `${config.numKeyValueHeads} key/value heads do not divide ${numAttentionHeads} query heads`,
    )
  }
  if (config.headDim % 2 !== 0) {
    throw new FormatError(file, `head_dim ${config.headDim} is odd, so RoPE cannot pair it`)
  }
  return config
}

function parseArchitecture(file: string, fields: Fields): Architecture {
  const [name] = fields.list('architectures')
  if (typeof name === 'string' && Object.hasOwn(architectures, name)) {
    return architectures[name as keyof typeof architectures]
  }
  const known = Object.keys(architectures).join(', ')
  throw new FormatError(file, `architecture ${show(name)} is not supported, only ${known}`)
}

/** Flat in older checkpoints, under rope_parameters in newer ones. */
function parseRopeTheta(fields: Fields): number {
  const scaling = fields.object('rope_scaling')
  scaling?.only(scaling.values.type === undefined ? 'rope_type' : 'type', 'default')
  const parameters = fields.object('rope_parameters') ?? fields
  parameters.only('rope_type', 'default', undefined)
  parameters.only('partial_rotary_factor', 1, undefined)
  return parameters.positive('rope_theta', 10_000)
}

/** One id, a list of them, or none. */
function parseTokenIds(file: string, fields: Fields): number[] {
  const eos = fields.values.eos_token_id ?? []
  const ids: unknown[] = Array.isArray(eos) ? eos : [eos]
  if (ids.some((id) => !Number.isInteger(id) || (id as number) < 0)) {
    throw new FormatError(file, `eos_token_id: ${show(eos)} is no id, nor a list of ids`)
  }
  return ids as number[]
}

/** Of the compressed-tensors schemes, int8 weights per channel with dynamic int8 activations. */
function parseQuantization(fields: Fields | undefined): 'w8a8' | 'none' {
  if (fields === undefined) return 'none'
  fields.only('quant_method', 'compressed-tensors')
  fields.only('format', 'int-quantized')
  fields.only('kv_cache_scheme', undefined)
  for (const group of fields.required('config_groups').objects()) {
    const weights = group.required('weights')
    weights.only('num_bits', 8)
    weights.only('type', 'int')
    weights.only('symmetric', true)
    weights.only('strategy', 'channel', 'tensor')
    const activations = group.required('input_activations')
    activations.only('num_bits', 8)
    activations.only('type', 'int')
    activations.only('symmetric', true)
    activations.only('strategy', 'token')
    activations.only('dynamic', true)
    group.only('output_activations', undefined)
  }
  return 'w8a8'
}

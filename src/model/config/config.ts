import { FormatError } from '../../errors.js'
import { MAX_K } from '../../native/layout.js'
import { Fields, show } from '../json/fields.js'
import type { Packing } from './packing.js'
import { parseQuantization, type Quantization } from './quantization-config.js'
import { contextLength, parseRope, type RopeConfig } from './rope-config.js'

/** A decoder architecture that this version supports. */
export type Architecture = 'qwen3' | 'qwen2' | 'llama' | 'mistral'

/** The name in `architectures`. */
const architectures: Readonly<Record<string, Architecture>> = {
  Qwen3ForCausalLM: 'qwen3',
  Qwen2ForCausalLM: 'qwen2',
  LlamaForCausalLM: 'llama',
  MistralForCausalLM: 'mistral',
}

/** Limits what a hostile file can make us build before any tensor is read. */
const MAX_LAYERS = 10_000

/** The part of a checkpoint's config.json that determines the arithmetic, under the same names. */
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
  /** The most tokens of one sequence; more than the file says where RoPE stretches it. */
  readonly maxPositionEmbeddings: number
  /** For every layer how many positions a token attends to, its own included; undefined for all earlier ones. */
  readonly windows: readonly (number | undefined)[]
  readonly rmsNormEps: number
  readonly ropeTheta: number
  readonly rope: RopeConfig
  /** Whether the head's weight is the embedding. */
  readonly tieWordEmbeddings: boolean
  /** q, k and v have a bias. */
  readonly qkvBias: boolean
  /** o has a bias. */
  readonly outputBias: boolean
  /** gate, up and down have a bias. */
  readonly mlpBias: boolean
  /** End-of-sequence tokens. */
  readonly eosTokenIds: readonly number[]
  readonly quantization: Quantization
  /** Where another tool packed the Linears in four bits, how. */
  readonly packing: Packing | undefined
}

/**
 * Checks a parsed config.json. Refuses by name what would change the arithmetic in an unsupported way, because the
 * alternative is wrong text.
 *
 * @param file named in errors
 * @param json the parsed file
 * @throws FormatError
 */
export function parseConfig(file: string, json: unknown): ModelConfig {
  const fields = new Fields(file, json)
  const architecture = parseArchitecture(file, fields)
  fields.only('hidden_act', 'silu', undefined)
  // some that were made for embeddings attend in both directions
  fields.only('is_causal', true, undefined)
  const hiddenSize = fields.integer('hidden_size', 1)
  const numAttentionHeads = fields.integer('num_attention_heads', 1)
  const numHiddenLayers = fields.integer('num_hidden_layers', 1)
  if (numHiddenLayers > MAX_LAYERS) {
    throw new FormatError(file, `num_hidden_layers ${numHiddenLayers} is above ${MAX_LAYERS}`)
  }
  const rope = parseRope(file, fields)
  const config: ModelConfig = {
    architecture,
    vocabSize: fields.integer('vocab_size', 1),
    hiddenSize,
    intermediateSize: fields.integer('intermediate_size', 1),
    numHiddenLayers,
    numAttentionHeads,
    numKeyValueHeads: fields.integer('num_key_value_heads', 1, numAttentionHeads),
    headDim: fields.integer('head_dim', 2, hiddenSize / numAttentionHeads),
    maxPositionEmbeddings: contextLength(rope, fields.integer('max_position_embeddings', 1)),
    windows: parseWindows(file, fields, architecture, numHiddenLayers),
    rmsNormEps: fields.above('rms_norm_eps', 0),
    ropeTheta: rope.theta,
    rope,
    tieWordEmbeddings: fields.boolean('tie_word_embeddings', false),
    ...parseBiases(fields, architecture),
    eosTokenIds: fields.tokenIds('eos_token_id'),
    ...parseQuantization(fields.object('quantization_config')),
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
  checkAttentionRoom(file, config)
  if (rope.type === 'longrope' && rope.factors.length !== config.headDim / 2) {
    const problem = `longrope has ${rope.factors.length} factors for a head of ${config.headDim}`
    throw new FormatError(file, problem)
  }
  return config
}

/** Queries that share what is loaded of a page: as many as TILE_QUERIES in attention.c, and all of a key/value head. */
const SHARING_QUERIES = 32

/** @throws FormatError for heads whose queries, scores and sums do not fit a worker's memory; see dp_attention in dotpool.h */
function checkAttentionRoom(file: string, config: ModelConfig): void {
  const { headDim, numAttentionHeads, numKeyValueHeads } = config
  const group = numAttentionHeads / numKeyValueHeads
  if (Math.max(group, SHARING_QUERIES) * (3 * headDim + 98) + 32 <= MAX_K) return
  const heads = `${group} query heads of ${headDim} elements for a key/value head`
  throw new FormatError(file, `${heads} are more than attention has room for`)
}

/** Freezes a config with all that is in it: the computation on the model's threads depends on it. */
export function freezeConfig<Part extends object>(part: Part): Part {
  for (const value of Object.values(part)) {
    if (typeof value === 'object' && value !== null) freezeConfig(value)
  }
  return Object.freeze(part)
}

function parseArchitecture(file: string, fields: Fields): Architecture {
  const [name] = fields.list('architectures')
  if (typeof name === 'string' && Object.hasOwn(architectures, name)) {
    return architectures[name]
  }
  const known = Object.keys(architectures).join(', ')
  throw new FormatError(file, `architecture ${show(name)} is not supported, only ${known}`)
}

/** Qwen2 and Mistral have fixed biases. */
function parseBiases(fields: Fields, architecture: Architecture) {
  const fixed = architecture === 'qwen2' || architecture === 'mistral'
  const chosen = !fixed && fields.boolean('attention_bias', false)
  return {
    qkvBias: architecture === 'qwen2' || chosen,
    outputBias: chosen,
    mlpBias: fields.boolean('mlp_bias', false),
  }
}

/**
 * The window of every layer. All of Mistral's layers slide, if there is a window; of Qwen's those that `layer_types`
 * names, or else those from `max_window_layers` on.
 */
function parseWindows(
  file: string,
  fields: Fields,
  architecture: Architecture,
  layers: number,
): (number | undefined)[] {
  const window = parseWindow(fields, architecture)
  const chooses = architecture === 'qwen2' || architecture === 'qwen3'
  const firstSliding = chooses ? fields.integer('max_window_layers', 0, 28) : 0
  const types = fields.list('layer_types')
  if (types.length !== 0 && types.length !== layers) {
    throw new FormatError(file, `layer_types names ${types.length} of ${layers} layers`)
  }
  return Array.from({ length: layers }, (_, i) => {
    const slides = window !== undefined && i >= firstSliding
    const implied = slides ? 'sliding_attention' : 'full_attention'
    const type = types[i] ?? implied
    if (type === 'full_attention' && (chooses || !slides)) return undefined
    if (type === 'sliding_attention' && window !== undefined) return window
    throw new FormatError(file, `layer_types ${show(type)} is not supported here, only ${implied}`)
  })
}

function parseWindow(fields: Fields, architecture: Architecture): number | undefined {
  if (architecture === 'llama' || architecture === 'mistral') {
    fields.only('use_sliding_window', false, undefined)
  } else if (!fields.boolean('use_sliding_window', false)) return undefined
  // null means no window; the default is for files without the field
  const none = architecture === 'llama' || fields.values.sliding_window === null
  return none ? undefined : fields.integer('sliding_window', 1, 4096)
}

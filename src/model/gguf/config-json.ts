import { FormatError } from '../../errors.js'
import { show } from '../json/fields.js'
import type { GgufTensor } from './header.js'
import type { Metadata } from './metadata.js'

/** `architectures` of config.json for each supported `general.architecture`. */
const architectures = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
} as const

export type GgufArchitecture = keyof typeof architectures

/**
 * The supported architecture of a file.
 *
 * @throws FormatError for any other, by name
 */
export function architectureOf(metadata: Metadata): GgufArchitecture {
  const name = metadata.text('general.architecture') ?? ''
  if (Object.hasOwn(architectures, name)) return name as GgufArchitecture
  const known = Object.keys(architectures).join(', ')
  const problem = `general.architecture ${show(name)} is not supported, only ${known}`
  throw new FormatError(metadata.file, problem)
}

/** The size of a head of q and k. */
export function headDimOf(metadata: Metadata): number {
  const key = (name: string) => `${architectureOf(metadata)}.${name}`
  const heads = metadata.uniform(key('attention.head_count'), 1)
  const even = metadata.integer(key('embedding_length'), 1) / heads
  const headDim = metadata.integer(key('attention.key_length'), 2, even)
  for (const name of ['attention.value_length', 'rope.dimension_count']) {
    if (metadata.integer(key(name), 1, headDim) === headDim) continue
    const problem = `${key(name)} is not the size of a head, ${headDim}, which is not supported`
    throw new FormatError(metadata.file, problem)
  }
  return headDim
}

/**
 * The model's config.json in Hugging Face's format, without end-of-sequence tokens.
 *
 * @param tensors by llama.cpp's names, of all files
 * @param ropeFactors divisors of the RoPE frequencies, if any
 * @throws FormatError naming the field that is missing, wrong, or not supported
 */
export function configJson(
  metadata: Metadata,
  tensors: ReadonlyMap<string, GgufTensor>,
  ropeFactors: Float32Array | undefined,
): Record<string, unknown> {
  const architecture = architectureOf(metadata)
  const key = (name: string) => `${architecture}.${name}`
  refuse(metadata, key('expert_count'), 'mixtures of experts are')
  const heads = metadata.uniform(key('attention.head_count'), 1)
  const context = metadata.integer(key('context_length'), 1)
  const embedding = tensors.get('token_embd.weight')
  if (embedding === undefined) {
    throw new FormatError(metadata.file, 'tensor token_embd.weight is missing')
  }
  return {
    architectures: [architectures[architecture]],
    model_type: architecture,
    hidden_act: 'silu',
    is_causal: metadata.boolean(key('attention.causal'), true),
    vocab_size: embedding.dims[0],
    hidden_size: metadata.integer(key('embedding_length'), 1),
    intermediate_size: metadata.uniform(key('feed_forward_length'), 1),
    num_hidden_layers: metadata.integer(key('block_count'), 1),
    num_attention_heads: heads,
    num_key_value_heads: metadata.uniform(key('attention.head_count_kv'), 1, heads),
    head_dim: headDimOf(metadata),
    max_position_embeddings: context,
    rms_norm_eps: metadata.number(key('attention.layer_norm_rms_epsilon')),
    rope_theta: metadata.number(key('rope.freq_base')) ?? 10_000,
    rope_scaling: ropeScaling(metadata, architecture, context, ropeFactors),
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    mlp_bias: tensors.has('blk.0.ffn_gate.bias'),
    tie_word_embeddings: !tensors.has('output.weight'),
  }
}

/** `rope_scaling` of config.json. */
function ropeScaling(
  metadata: Metadata,
  architecture: GgufArchitecture,
  context: number,
  factors: Float32Array | undefined,
): Record<string, unknown> | null {
  const key = (name: string) => `${architecture}.rope.scaling.${name}`
  const factor =
    metadata.number(key('factor')) || metadata.number(`${architecture}.rope.scale_linear`) || 1
  const type = factor === 1 ? 'none' : (metadata.text(key('type')) ?? 'linear')
  if (factors !== undefined) {
    if (type !== 'none') {
      throw new FormatError(metadata.file, `${key('type')} ${show(type)} beside factors of RoPE`)
    }
    return longrope(factors, context)
  }
  switch (type) {
    case 'none':
      return null
    case 'linear':
      return { rope_type: 'linear', factor }
    case 'yarn':
      return yarn(metadata, key, factor, context)
    default: {
      const problem = `${key('type')} ${show(type)} is not supported, only none, linear, yarn`
      throw new FormatError(metadata.file, problem)
    }
  }
}

/** The same factors at every length, which transformers calls longrope. */
function longrope(factors: Float32Array, context: number): Record<string, unknown> {
  const list = [...factors]
  return {
    rope_type: 'longrope',
    short_factor: list,
    long_factor: list,
    factor: 1,
    attention_factor: 1,
    original_max_position_embeddings: context,
  }
}

function yarn(
  metadata: Metadata,
  key: (name: string) => string,
  factor: number,
  context: number,
): Record<string, unknown> {
  refuse(metadata, key('yarn_ext_factor'), 'factors of extrapolation other than 1 are', 1)
  refuse(metadata, key('attn_factor'), 'factors of attention other than 1 are', 1)
  const logMultiplier = metadata.number(key('yarn_log_multiplier'))
  const optional = {
    attention_factor: metadata.number(key('yarn_attn_factor')),
    beta_fast: metadata.number(key('yarn_beta_fast')),
    beta_slow: metadata.number(key('yarn_beta_slow')),
    ...(logMultiplier && { mscale: 1, mscale_all_dim: logMultiplier }),
  }
  const original = metadata.integer(key('original_context_length'), 1, context)
  return {
    rope_type: 'yarn',
    factor,
    original_max_position_embeddings: original,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  }
}

/** Refuses a field that changes the arithmetic, unless it has the neutral value. */
function refuse(metadata: Metadata, key: string, what: string, neutral = 0): void {
  const value = metadata.number(key) ?? neutral
  if (value === neutral) return
  throw new FormatError(metadata.file, `${key} ${value}: ${what} not supported`)
}

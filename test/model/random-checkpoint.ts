import { randomF32, type StoredTensor } from './support.js'

/** The content of a checkpoint. */
export interface MadeCheckpoint {
  config: Record<string, unknown>
  tensors: Record<string, StoredTensor>
}

export interface RandomOptions {
  /** Biases of q, k and v. */
  biases?: boolean
  /** Norms of each head of q and k. */
  headNorms?: boolean
  seed?: number
}

/** A decoder of random weights. No size is a multiple of a kernel's tile. */
const sizes = {
  vocab_size: 53,
  hidden_size: 20,
  intermediate_size: 37,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  head_dim: 10,
  max_position_embeddings: 300,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  eos_token_id: null,
}

/**
 * @param architecture as in `architectures` of config.json
 * @param changes of config.json
 */
export function randomCheckpoint(
  architecture: string,
  changes: Partial<typeof sizes> & Record<string, unknown> = {},
  { biases = false, headNorms = false, seed = 1 }: RandomOptions = {},
): MadeCheckpoint {
  const config = { ...sizes, ...changes, architectures: [architecture] }
  const tensors: Record<string, StoredTensor> = {}
  const add = (name: string, ...shape: number[]) => {
    tensors[name] = randomF32(shape, seed * 1000 + Object.keys(tensors).length)
  }
  const { hidden_size: hidden, intermediate_size: inner, head_dim: headDim } = config
  const q = config.num_attention_heads * headDim
  const kv = config.num_key_value_heads * headDim
  add('model.embed_tokens.weight', config.vocab_size, hidden)
  add('model.norm.weight', hidden)
  if (!config.tie_word_embeddings) add('lm_head.weight', config.vocab_size, hidden)
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `model.layers.${i}`
    add(`${layer}.input_layernorm.weight`, hidden)
    add(`${layer}.post_attention_layernorm.weight`, hidden)
    for (const [part, size] of [
      ['q', q],
      ['k', kv],
      ['v', kv],
    ] as const) {
      add(`${layer}.self_attn.${part}_proj.weight`, size, hidden)
      if (biases) add(`${layer}.self_attn.${part}_proj.bias`, size)
      if (headNorms && part !== 'v') add(`${layer}.self_attn.${part}_norm.weight`, headDim)
    }
    add(`${layer}.self_attn.o_proj.weight`, hidden, q)
    add(`${layer}.mlp.gate_proj.weight`, inner, hidden)
    add(`${layer}.mlp.up_proj.weight`, inner, hidden)
    add(`${layer}.mlp.down_proj.weight`, hidden, inner)
  }
  return { config, tensors }
}

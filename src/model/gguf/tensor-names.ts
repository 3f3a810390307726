import { EMBEDDING, HEAD_WEIGHT, layerName } from '../config/parameters.js'

/** The parts of a layer, by llama.cpp's names. */
const parts = new Map([
  ['attn_norm', 'input_layernorm'],
  ['attn_q', 'self_attn.q_proj'],
  ['attn_k', 'self_attn.k_proj'],
  ['attn_v', 'self_attn.v_proj'],
  ['attn_output', 'self_attn.o_proj'],
  ['attn_q_norm', 'self_attn.q_norm'],
  ['attn_k_norm', 'self_attn.k_norm'],
  ['ffn_norm', 'post_attention_layernorm'],
  ['ffn_gate', 'mlp.gate_proj'],
  ['ffn_up', 'mlp.up_proj'],
  ['ffn_down', 'mlp.down_proj'],
])

const others = new Map([
  ['token_embd.weight', EMBEDDING],
  ['output_norm.weight', 'model.norm.weight'],
  ['output.weight', HEAD_WEIGHT],
])

/** The divisors of the RoPE frequencies; they belong to the config, not to the weights. */
export const ROPE_FACTORS = 'rope_freqs.weight'

/** Hugging Face's name for a tensor of llama.cpp; unknown names stay as they are. */
export function huggingFaceName(name: string): string {
  const [, layer, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? []
  const module = parts.get(part)
  if (module !== undefined) return `${layerName(Number(layer))}.${module}.${kind}`
  return others.get(name) ?? name
}

/** Whether RoPE rotates the output of this tensor of llama.cpp. */
export function isRotated(name: string): boolean {
  return /^blk\.\d+\.attn_[qk]\.(weight|bias)$/.test(name)
}

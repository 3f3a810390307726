import { float32ToBf16 } from '#src/bf16.js'
import {
  bool,
  float32,
  ggmlTypes,
  type gguf,
  type MadeTensor,
  string,
  uint32,
} from '../../support/gguf.js'
import type { MadeCheckpoint } from '../random-checkpoint.js'
import type { StoredTensor } from '../support.js'

/** llama.cpp's tensor names. */
const names: [pattern: RegExp, name: string][] = [
  [/^model\.embed_tokens/, 'token_embd'],
  [/^model\.norm/, 'output_norm'],
  [/^lm_head/, 'output'],
  [/^model\.layers\.(\d+)\.input_layernorm/, 'blk.$1.attn_norm'],
  [/^model\.layers\.(\d+)\.post_attention_layernorm/, 'blk.$1.ffn_norm'],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj/, 'blk.$1.attn_$2'],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj/, 'blk.$1.attn_output'],
  [/^model\.layers\.(\d+)\.self_attn\.([qk])_norm/, 'blk.$1.attn_$2_norm'],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj/, 'blk.$1.ffn_$2'],
]

type Fields = Parameters<typeof gguf>[0]

export interface MadeGguf {
  fields: Record<string, Fields[string]>
  tensors: Record<string, MadeTensor>
}

/** The same model as llama.cpp's converter writes it, without a tokenizer. */
export function toGguf({ config, tensors }: MadeCheckpoint): MadeGguf {
  const architecture = { Llama: 'llama', Qwen2: 'qwen2', Qwen3: 'qwen3' }[
    String(config.architectures).replace('ForCausalLM', '')
  ] as string
  const number = (key: string) => Number(config[key])
  const integers = {
    block_count: number('num_hidden_layers'),
    context_length: number('max_position_embeddings'),
    embedding_length: number('hidden_size'),
    feed_forward_length: number('intermediate_size'),
    'attention.head_count': number('num_attention_heads'),
    'attention.head_count_kv': number('num_key_value_heads'),
    'attention.key_length': number('head_dim'),
    'attention.value_length': number('head_dim'),
    'rope.dimension_count': number('head_dim'),
  }
  const fields: Fields = {
    'general.architecture': string(architecture),
    ...Object.fromEntries(
      Object.entries(integers).map(([key, value]) => [`${architecture}.${key}`, uint32(value)]),
    ),
    [`${architecture}.attention.layer_norm_rms_epsilon`]: float32(number('rms_norm_eps')),
    [`${architecture}.rope.freq_base`]: float32(number('rope_theta')),
    'tokenizer.ggml.add_bos_token': bool(false),
  }
  const stored = Object.entries(tensors).map(([name, tensor]): [string, MadeTensor] => {
    const [pattern, replacement] = names.find(([pattern]) => pattern.test(name)) ?? [/$/, '?']
    const rotated = architecture === 'llama' && /\.[qk]_proj\./.test(name)
    const ordered = rotated ? pairNeighbours(tensor, number('head_dim')) : tensor
    const { dtype, shape, data } = ordered
    const type = ggmlTypes[dtype as 'F32' | 'F16' | 'BF16']
    return [name.replace(pattern, replacement), { type, dims: shape, data }]
  })
  return { fields, tensors: Object.fromEntries(stored) }
}

/** llama.cpp's order of the rows of q and k: reshape(heads, 2, D/2).swapaxes(1, 2). */
function pairNeighbours(tensor: StoredTensor, headDim: number): StoredTensor {
  const { shape, data } = tensor
  const rowBytes = data.byteLength / shape[0]
  const out = new Uint8Array(data.byteLength)
  let to = 0
  for (let head = 0; head < shape[0]; head += headDim) {
    for (let i = 0; i < headDim / 2; i++) {
      for (const part of [0, 1]) {
        const from = (head + (part * headDim) / 2 + i) * rowBytes
        out.set(data.subarray(from, from + rowBytes), to)
        to += rowBytes
      }
    }
  }
  return { ...tensor, data: out }
}

/** Converts the tensor to bfloat16. */
export function toBf16({ shape, data }: StoredTensor): StoredTensor {
  const bits = float32ToBf16(new Float32Array(Uint8Array.from(data).buffer))
  return { dtype: 'BF16', shape, data: new Uint8Array(bits.buffer) }
}

import type { ModelShape } from './shapes.js'

/** A tensor of a model, under its name in both formats. */
export interface ShapeTensor {
  readonly kind: 'linear' | 'embedding' | 'norm'
  /** In safetensors files, without `.weight`. */
  readonly name: string
  /** In GGUF files, without `.weight`. */
  readonly ggufName: string
  readonly rows: number
  readonly columns: number
  /** RoPE rotates its rows, and llama.cpp's Llama pairs rows differently from Hugging Face's. */
  readonly rotated: boolean
}

/** Every tensor of a model, in the order of the network. */
export function tensorsOf(shape: ModelShape): ShapeTensor[] {
  const { layers, vocabSize: rows, hiddenSize: columns } = shape
  return [
    {
      kind: 'embedding',
      name: 'model.embed_tokens',
      ggufName: 'token_embd',
      rows,
      columns,
      rotated: false,
    },
    ...Array.from({ length: layers }, (_, layer) => layerTensors(shape, layer)).flat(),
    norm('model.norm', 'output_norm', columns),
  ]
}

function layerTensors(shape: ModelShape, layer: number): ShapeTensor[] {
  const { hiddenSize: hidden, intermediateSize: intermediate, heads, kvHeads, headDim } = shape
  const inLayer = ({ name, ggufName, ...rest }: ShapeTensor): ShapeTensor => ({
    ...rest,
    name: `model.layers.${layer}.${name}`,
    ggufName: `blk.${layer}.${ggufName}`,
  })
  const headNorms = [
    norm('self_attn.q_norm', 'attn_q_norm', headDim),
    norm('self_attn.k_norm', 'attn_k_norm', headDim),
  ]
  return [
    norm('input_layernorm', 'attn_norm', hidden),
    { ...linear('self_attn.q_proj', 'attn_q', heads * headDim, hidden), rotated: true },
    { ...linear('self_attn.k_proj', 'attn_k', kvHeads * headDim, hidden), rotated: true },
    linear('self_attn.v_proj', 'attn_v', kvHeads * headDim, hidden),
    ...(shape.architecture === 'Qwen3ForCausalLM' ? headNorms : []),
    linear('self_attn.o_proj', 'attn_output', hidden, heads * headDim),
    norm('post_attention_layernorm', 'ffn_norm', hidden),
    linear('mlp.gate_proj', 'ffn_gate', intermediate, hidden),
    linear('mlp.up_proj', 'ffn_up', intermediate, hidden),
    linear('mlp.down_proj', 'ffn_down', hidden, intermediate),
  ].map(inLayer)
}

function linear(name: string, ggufName: string, rows: number, columns: number): ShapeTensor {
  return { kind: 'linear', name, ggufName, rows, columns, rotated: false }
}

function norm(name: string, ggufName: string, columns: number): ShapeTensor {
  return { kind: 'norm', name, ggufName, rows: 1, columns, rotated: false }
}

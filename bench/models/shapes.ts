/** The sizes of a decoder with a tied head, as its published config.json has them. */
export interface ModelShape {
  readonly name: string
  readonly architecture: 'Qwen3ForCausalLM' | 'LlamaForCausalLM'
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  /** Each serves heads / kvHeads query heads. */
  readonly kvHeads: number
  readonly headDim: number
  readonly maxPositions: number
  readonly rmsNormEps: number
  readonly ropeTheta: number
  readonly ropeScaling?: Llama3Scaling
  readonly bosTokenId: number
  readonly eosTokenId: number
}

/** How Llama 3 stretches RoPE, under the names of its config.json. */
export interface Llama3Scaling {
  readonly rope_type: 'llama3'
  readonly factor: number
  readonly low_freq_factor: number
  readonly high_freq_factor: number
  readonly original_max_position_embeddings: number
}

const qwen3 = {
  architecture: 'Qwen3ForCausalLM',
  vocabSize: 151936,
  layers: 28,
  heads: 16,
  kvHeads: 8,
  headDim: 128,
  maxPositions: 40960,
  rmsNormEps: 1e-6,
  ropeTheta: 1e6,
  bosTokenId: 151643,
  eosTokenId: 151645,
} as const

/** Models that people run on CPUs. */
export const modelShapes: readonly ModelShape[] = [
  { name: 'Qwen3-0.6B', ...qwen3, hiddenSize: 1024, intermediateSize: 3072 },
  { name: 'Qwen3-1.7B', ...qwen3, hiddenSize: 2048, intermediateSize: 6144 },
  {
    name: 'Llama-3.2-1B',
    architecture: 'LlamaForCausalLM',
    vocabSize: 128256,
    hiddenSize: 2048,
    intermediateSize: 8192,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    maxPositions: 131072,
    rmsNormEps: 1e-5,
    ropeTheta: 500000,
    ropeScaling: {
      rope_type: 'llama3',
      factor: 32,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
    bosTokenId: 128000,
    eosTokenId: 128001,
  },
]

/** Weights that every token is multiplied by: all Linears and the head. */
export function weightCount(shape: ModelShape): number {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = shape
  const attention = 2 * (heads + kvHeads) * headDim * hiddenSize
  const mlp = 3 * intermediateSize * hiddenSize
  return shape.layers * (attention + mlp) + shape.vocabSize * hiddenSize
}

/** Key and value elements that one token adds to the KV cache. */
export function kvCount({ layers, kvHeads, headDim }: ModelShape): number {
  return 2 * layers * kvHeads * headDim
}

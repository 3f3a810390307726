import type { ModelConfig } from './config.js'

/** One Linear of a decoder. */
export interface LinearSpec {
  /** The module's name in the published implementations, e.g. `model.layers.0.mlp.up_proj`. */
  readonly name: string
  /** The tensor of its weight [outFeatures, inFeatures]. */
  readonly weight: string
  readonly inFeatures: number
  readonly outFeatures: number
  /** Whether it has `<name>.bias` [outFeatures]. */
  readonly bias: boolean
}

/** The tensor of the embedding [vocabSize, hiddenSize]. */
export const EMBEDDING = 'model.embed_tokens.weight'

/** The Linear that computes logits from the last hidden state. */
export const HEAD = 'lm_head'

/** The tensor of its weight, unless it is the embedding's. */
export const HEAD_WEIGHT = `${HEAD}.weight`

/** Every Linear by name, in the order in which a forward uses them. */
export function linearSpecs(config: ModelConfig): Map<string, LinearSpec> {
  const { hiddenSize, intermediateSize, qkvBias, outputBias, mlpBias } = config
  const q = config.numAttentionHeads * config.headDim
  const kv = config.numKeyValueHeads * config.headDim
  const specs = new Map<string, LinearSpec>()
  const add = (name: string, inFeatures: number, outFeatures: number, bias: boolean) =>
    specs.set(name, { name, weight: `${name}.weight`, inFeatures, outFeatures, bias })
  for (const layer of layerNames(config)) {
    add(`${layer}.self_attn.q_proj`, hiddenSize, q, qkvBias)
    add(`${layer}.self_attn.k_proj`, hiddenSize, kv, qkvBias)
    add(`${layer}.self_attn.v_proj`, hiddenSize, kv, qkvBias)
    add(`${layer}.self_attn.o_proj`, q, hiddenSize, outputBias)
    add(`${layer}.mlp.gate_proj`, hiddenSize, intermediateSize, mlpBias)
    add(`${layer}.mlp.up_proj`, hiddenSize, intermediateSize, mlpBias)
    add(`${layer}.mlp.down_proj`, intermediateSize, hiddenSize, mlpBias)
  }
  const weight = config.tieWordEmbeddings ? EMBEDDING : HEAD_WEIGHT
  const features = { inFeatures: hiddenSize, outFeatures: config.vocabSize }
  return specs.set(HEAD, { name: HEAD, weight, ...features, bias: false })
}

/**
 * The size of every RMSNorm by name; its weight is the tensor `<name>.weight`. Qwen3 also normalises each head of q and
 * k.
 */
export function normSizes(config: ModelConfig): Map<string, number> {
  const { hiddenSize, headDim } = config
  const sizes = new Map<string, number>()
  for (const layer of layerNames(config)) {
    sizes.set(`${layer}.input_layernorm`, hiddenSize)
    if (config.architecture === 'qwen3') {
      sizes.set(`${layer}.self_attn.q_norm`, headDim)
      sizes.set(`${layer}.self_attn.k_norm`, headDim)
    }
    sizes.set(`${layer}.post_attention_layernorm`, hiddenSize)
  }
  return sizes.set('model.norm', hiddenSize)
}

/** The prefix of the names in a layer. */
export function layerName(i: number): string {
  return `model.layers.${i}`
}

function layerNames(config: ModelConfig): string[] {
  return Array.from({ length: config.numHiddenLayers }, (_, i) => layerName(i))
}

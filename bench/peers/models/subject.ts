import { basename } from 'node:path'
import { type CachedModel, cachedModel } from '../../../dist/bench/models/cache.js'
import type { ModelShape } from '../../../dist/bench/models/shapes.js'
import { Checkpoint } from '../../../dist/src/index.js'

/** A model that everybody runs. */
export interface Subject {
  readonly shape: ModelShape
  /** Where it lies for each contender. */
  files(): Promise<CachedModel>
}

/** Random weights. */
export function syntheticModel(shape: ModelShape): Subject {
  return { shape, files: () => cachedModel(shape) }
}

/** A real one, from the same file for all. */
export async function ggufModel(file: string): Promise<Subject> {
  await using checkpoint = await Checkpoint.open(file)
  const { config } = checkpoint
  const shape: ModelShape = {
    name: basename(file),
    architecture: config.architecture === 'qwen3' ? 'Qwen3ForCausalLM' : 'LlamaForCausalLM',
    vocabSize: config.vocabSize,
    hiddenSize: config.hiddenSize,
    intermediateSize: config.intermediateSize,
    layers: config.numHiddenLayers,
    heads: config.numAttentionHeads,
    kvHeads: config.numKeyValueHeads,
    headDim: config.headDim,
    maxPositions: config.maxPositionEmbeddings,
    rmsNormEps: config.rmsNormEps,
    ropeTheta: config.ropeTheta,
    bosTokenId: 0,
    eosTokenId: config.eosTokenIds[0] ?? 0,
  }
  return { shape, files: async () => ({ folder: file, gguf: file }) }
}

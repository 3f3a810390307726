import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Bits } from '../../../dist/bench/models/bits.js'
import { cachedModel } from '../../../dist/bench/models/cache.js'
import type { ModelShape } from '../../../dist/bench/models/shapes.js'
import { Checkpoint } from '../../../dist/src/index.js'
import type { ModelFiles } from './contender.js'
import { randomPrompts } from './prompts.js'

/** How many prompts all must continue alike, and how long they are. */
const PROMPTS = 8
const LENGTH = 64

/** A model that all contenders run. */
export interface Subject {
  readonly name: string
  readonly shape: ModelShape
  /** Of the weights of its Linears, as dotpool holds them. */
  readonly bits: Bits
  /** Where it is for each contender. */
  files(): Promise<ModelFiles>
  /** The prompts that all must continue alike. */
  readonly prompts: readonly number[][]
}

/** Random weights. */
export function syntheticModel(shape: ModelShape, bits: Bits): Subject {
  const name = bits === 8 ? shape.name : `${shape.name} in four bits`
  const prompts = randomPrompts(shape, PROMPTS, LENGTH)
  return { name, shape, bits, files: () => cachedModel(shape, bits), prompts }
}

/** Pieces of a text, because a real model is certain of the next token only within real text. */
async function textPrompts({ tokenizer, file }: Checkpoint): Promise<number[][]> {
  const text = await readFile(new URL('README.md', import.meta.url), 'utf8')
  const tokens = tokenizer?.encode(text, { addSpecialTokens: false }) ?? []
  if (tokens.length < PROMPTS * LENGTH) throw new Error(`${file} has no tokenizer`)
  return Array.from({ length: PROMPTS }, (_, i) => tokens.slice(i * LENGTH, (i + 1) * LENGTH))
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
  const files = async () => ({ w8a8: file, q8_0: file })
  return { name: shape.name, shape, bits: 8, files, prompts: await textPrompts(checkpoint) }
}

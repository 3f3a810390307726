import { ArgumentError, describe, FormatError } from '../errors.js'
import type { Pool } from '../pool/pool.js'
import { Tensor } from '../tensor.js'
import { Checkpoint } from './checkpoint.js'
import { Decoder } from './decoder.js'
import { Model } from './model.js'
import { EMBEDDING, type LinearSpec, linearSpecs, normSizes } from './parameters.js'
import { makeEach } from './projection.js'
import type { ReadOptions } from './safetensors.js'
import { defaultSkip, type Skip, skipMatcher } from './skip.js'
import {
  isStoredInt8,
  readLinear,
  type StoredLinear,
  tensorsOf,
  toFloatProjection,
  toLinear,
} from './stored-linear.js'
import { TensorReader } from './tensor-reader.js'

export interface LoadOptions extends ReadOptions {
  /**
   * `w8a8` runs Linears in int8 on the pool, `none` in float32 on this thread. By default as the
   * checkpoint is stored.
   */
  quantize?: 'w8a8' | 'none' | undefined
  /**
   * Linears that stay float32 under `w8a8`. By default those that a W8A8 checkpoint stores as floats;
   * `lm_head` of any other.
   */
  skip?: Skip | undefined
}

/**
 * Loads a Qwen3 or Llama checkpoint: a folder with config.json, tokenizer.json, model.safetensors.
 * Weights are read one by one, so that memory holds the model and one tensor.
 *
 * @param pool runs the int8 Linears; null will do where there are none
 * @param options `onProgress` counts bytes of weights
 * @throws FormatError naming file and tensor, ArgumentError, the signal's reason, what the pool throws
 */
export async function loadModel(
  pool: Pool | null,
  folder: string,
  options: LoadOptions = {},
): Promise<Model> {
  await using checkpoint = await Checkpoint.open(folder)
  const { config, tokenizer } = checkpoint
  const linears = linearSpecs(config)
  const runsInt8 = chooseInt8(pool, checkpoint, linears, options)
  const tensors = tensorsOfModel(checkpoint, linears)
  refuseOthers(checkpoint, tensors)

  const reader = new TensorReader(checkpoint, [...tensors], options)
  const embedding = await readEmbedding(reader)
  const norms = await readNorms(reader)
  const projections = await makeEach(linears, async (spec) => {
    const stored =
      spec.weight === EMBEDDING ? tiedTo(embedding, spec) : await readLinear(reader, spec)
    return runsInt8(spec)
      ? await toLinear(pool as Pool, checkpoint.file, stored, options.signal)
      : await toFloatProjection(stored, options.signal)
  })
  return new Model(pool, tokenizer, new Decoder(config, embedding, norms, projections))
}

/** Which Linears run in int8. */
function chooseInt8(
  pool: Pool | null,
  checkpoint: Checkpoint,
  linears: ReadonlyMap<string, LinearSpec>,
  { quantize = checkpoint.config.quantization, skip }: LoadOptions,
): (spec: LinearSpec) => boolean {
  if (quantize !== 'w8a8' && quantize !== 'none') {
    throw new ArgumentError('quantize', "'w8a8' or 'none'", describe(quantize))
  }
  if (quantize === 'none') return () => false
  if (pool === null) throw new ArgumentError('pool', 'a Pool, to run int8 Linears on', 'null')
  if (skip === undefined && checkpoint.config.quantization === 'w8a8') {
    return (spec) => isStoredInt8(checkpoint, spec)
  }
  const skipped = skipMatcher(skip ?? defaultSkip, [...linears.keys()])
  return ({ name }) => skipped(name) === undefined
}

function tensorsOfModel(
  checkpoint: Checkpoint,
  linears: ReadonlyMap<string, LinearSpec>,
): Set<string> {
  const names = new Set([EMBEDDING])
  for (const name of normSizes(checkpoint.config).keys()) names.add(`${name}.weight`)
  for (const spec of linears.values()) {
    for (const name of tensorsOf(checkpoint, spec)) names.add(name)
  }
  return names
}

/**
 * A tensor that no part of the model reads means that the file holds another model than its
 * config.json says, unless it is one that some exporters add.
 */
function refuseOthers(checkpoint: Checkpoint, tensors: ReadonlySet<string>): void {
  for (const name of checkpoint.names) {
    const harmless = name === 'lm_head.weight' || name.endsWith('.rotary_emb.inv_freq')
    if (!tensors.has(name) && !harmless) {
      throw new FormatError(checkpoint.file, `tensor ${name} belongs to no part of the model`)
    }
  }
}

async function readEmbedding(reader: TensorReader): Promise<Float32Array> {
  const { vocabSize, hiddenSize } = reader.checkpoint.config
  return await reader.readFloat(EMBEDDING, [vocabSize, hiddenSize])
}

async function readNorms(reader: TensorReader): Promise<Map<string, Float32Array>> {
  const norms = new Map<string, Float32Array>()
  for (const [name, size] of normSizes(reader.checkpoint.config)) {
    norms.set(name, await reader.readFloat(`${name}.weight`, [size]))
  }
  return norms
}

/** The head of a model whose head is its embedding: the same memory. */
function tiedTo(embedding: Float32Array, spec: LinearSpec): StoredLinear {
  const weight = new Tensor('float32', embedding, [spec.outFeatures, spec.inFeatures])
  return { spec, weight, scale: undefined, bias: undefined }
}

import { checkPath } from '../errors.js'
import { denseBytes } from '../ops/dense-weight.js'
import { weightBytes } from '../ops/weight.js'
import { checkOptions } from '../options.js'
import { Checkpoint } from './checkpoint/checkpoint.js'
import { denseTypeOf } from './checkpoint/stored-dense.js'
import { storedFormat } from './checkpoint/stored-format.js'
import { freezeConfig, type ModelConfig } from './config/config.js'
import { EMBEDDING, type LinearSpec, normSizes } from './config/parameters.js'
import { maxPagesOf, pageBytesOf } from './decoder/page.js'
import {
  type LoadOptions,
  loadOptions,
  type Plan,
  planModel,
  planRun,
  type RunPlan,
} from './load.js'
import { quantizationOf } from './packed/header.js'
import { checkFormats } from './packed/load-packed.js'
import { isPacked, PackedFile } from './packed/packed-file.js'

/** What a checkpoint takes once it is loaded. */
export interface ModelInfo {
  readonly config: ModelConfig
  /** The most tokens of one sequence, prompt and answer together. */
  readonly maxContext: number
  /** Memory of all weights, those of the embedding and the norms among them, bytes. */
  readonly parameterBytes: number
  /** The most memory of keys and values, bytes. */
  readonly kvBytes: number
}

/** See {@link Model.inspect}. */
export async function inspectModel(folder: string, given: LoadOptions): Promise<ModelInfo> {
  checkPath('folder', folder)
  const options = checkOptions(given, loadOptions)
  if (await isPacked(folder)) return await inspectPacked(folder, options)
  await using checkpoint = await Checkpoint.open(folder)
  const plan = planModel(checkpoint, options)
  return infoOf(checkpoint.config, plan, parameterBytes(checkpoint, plan))
}

async function inspectPacked(file: string, options: LoadOptions): Promise<ModelInfo> {
  await using packed = await PackedFile.open(file)
  const { header } = packed
  checkFormats(file, header, options)
  const plan = planRun(header.config, quantizationOf(header.linears.values()), options)
  return infoOf(header.config, plan, packed.byteLength - packed.dataStart)
}

function infoOf(config: ModelConfig, plan: RunPlan, parameterBytes: number): ModelInfo {
  const { maxContext, cacheType } = plan
  const pageBytes = pageBytesOf(config, cacheType)
  const kvBytes = maxPagesOf(maxContext, plan.kvBytes, pageBytes) * pageBytes
  return { config: freezeConfig(config), maxContext, parameterBytes, kvBytes }
}

/** What `loadCheckpoint` allocates. */
function parameterBytes(checkpoint: Checkpoint, { specs, formatOf }: Plan): number {
  const { config } = checkpoint
  const typeOf = (tensor: string) => denseTypeOf(checkpoint.dtype(tensor))
  const typeOfLinear = (spec: LinearSpec) =>
    storedFormat(checkpoint, spec) === 'packed' ? 'float32' : typeOf(spec.weight)
  const embedding = { outFeatures: config.vocabSize, inFeatures: config.hiddenSize }
  let bytes = denseBytes(typeOf(EMBEDDING), embedding)
  for (const size of normSizes(config).values()) bytes += size * Float32Array.BYTES_PER_ELEMENT
  for (const spec of specs.values()) {
    const format = formatOf(spec)
    if (format !== 'float') bytes += weightBytes(spec, spec.bias, format)
    // a tied head is the embedding
    else if (spec.weight !== EMBEDDING) bytes += denseBytes(typeOfLinear(spec), spec, spec.bias)
  }
  return bytes
}

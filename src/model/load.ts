import { freemem } from 'node:os'
import { ArgumentError, checkBoolean, checkInteger, describe, FormatError } from '../errors.js'
import { type CacheType, cacheTypes } from '../layouts/kv-page.js'
import type { WeightType } from '../ops/weight.js'
import type { OptionNames } from '../options.js'
import type { Pool } from '../pool/pool.js'
import { checkOutliers } from '../reference/quantize.js'
import { Checkpoint } from './checkpoint/checkpoint.js'
import { readDense } from './checkpoint/stored-dense.js'
import { storedFormat, tensorsOf } from './checkpoint/stored-format.js'
import { toFloatLinear, toInt4Linear, toLinear } from './checkpoint/stored-linear.js'
import { type ReadOptions, readOptions } from './checkpoint/tensor-file.js'
import { TensorReader } from './checkpoint/tensor-reader.js'
import type { ModelConfig } from './config/config.js'
import { checkHead, defaultW4A8Format, type LinearFormat } from './config/linear-format.js'
import {
  EMBEDDING,
  HEAD,
  HEAD_WEIGHT,
  type LinearSpec,
  linearSpecs,
  normSizes,
} from './config/parameters.js'
import { type Quantization, quantizations } from './config/quantization-config.js'
import { type Skip, skipMatcher } from './config/skip.js'
import type { DecoderParts } from './decoder/decoder.js'
import { defaultOutliers, type ModelLinear, makeEach } from './decoder/model-linear.js'
import type { QueueLimits } from './decoder/scheduler.js'
import { Int4Quantizer } from './quantization/int4-quantizer.js'
import type { Texts } from './text/texts.js'

/** What a model is made of. */
export interface ModelParts extends DecoderParts {
  /** The checkpoint's folder, or GGUF file, or packed model. */
  readonly folder: string
  readonly texts: Texts
  /** Whether its weights are a file that stays open while they are referenced. */
  readonly isMapped: boolean
}

export interface LoadOptions extends ReadOptions, QueueOptions {
  /**
   * `w8a8` runs Linears in int8, `w4a8` most of them in four bits a weight, `none` in float32 with weights as the
   * checkpoint has them. By default as the checkpoint is stored. Under `w4a8` every `v_proj`, the `down_proj` of the last
   * layer and the head stay in int8, where a checkpoint does not say otherwise. What dotpool stored in four bits is an
   * encoding of int8, so that `w8a8` has the same bits from it, and more memory to read. What another tool stored in four
   * bits is quantised from its floats under `w8a8`.
   */
  quantize?: Quantization | undefined
  /**
   * The head's weights under `w4a8`: `int4` makes every token faster where the vocabulary is large, and less true. By
   * default as the checkpoint is stored, and `int8` where that is float.
   */
  head?: WeightType | undefined
  /**
   * Linears that stay float under `w8a8` and `w4a8`, such as `lm_head`. By default those that a quantised
   * checkpoint stores as floats, but not the head, which is the largest of all.
   */
  skip?: Skip | undefined
  /**
   * The dtype of the KV cache: `int8` takes half the memory of `bfloat16`, and half the time where sequences
   * are long. By default `bfloat16`, and `float32` where nothing is quantised.
   */
  kv?: 'float32' | 'bfloat16' | 'int8' | undefined
  /**
   * The most elements of a row of activations that int8 Linears keep exact, while the others set the row's step: by
   * default 8, and 15 of rows shorter than 1024, the most there can be. 0 quantises each row by its largest element, as plain
   * W8A8 does, which real models lose much more by.
   */
  outliers?: number | undefined
  /** The most tokens of one sequence; by default what the model was made for. */
  maxContext?: number | undefined
  /**
   * The most memory for keys and values, bytes: those of requests that run, and those of earlier ones, which prompts
   * that begin alike share until the memory is needed. A request waits where there is none left for its prompt, and
   * one that outgrows it waits for earlier ones to end. A quarter of the memory that is available by default; one
   * sequence of `maxContext` tokens always fits.
   */
  kvBytes?: number | undefined
  /**
   * Whether a prompt may share what earlier ones have computed, so that only what is new in it takes time. From that
   * time others can tell what was asked before. True by default.
   */
  prefixCache?: boolean | undefined
  /**
   * Whether to compare the weights of a packed model with their checksum, which reads all of them. False by default: the
   * header's checksum and the size of the file are always checked.
   */
  verify?: boolean | undefined
}

/** What may wait: more fails with a QueueFullError. */
export interface QueueOptions {
  /** Requests that wait for memory. 1024 by default. */
  maxQueue?: number | undefined
  /**
   * Tokens of prompts that are yet to be computed, whether or not their requests have memory: while there are more, no
   * request is taken. So it bounds the time to the first token. By default there is no bound.
   */
  maxQueuedTokens?: number | undefined
}

export const queueOptions: OptionNames<QueueOptions> = { maxQueue: true, maxQueuedTokens: true }

/** @throws ArgumentError for one that is out of range */
export function toLimits({ maxQueue = 1024, maxQueuedTokens }: QueueOptions): QueueLimits {
  checkInteger('maxQueue', maxQueue, 0, Number.MAX_SAFE_INTEGER)
  if (maxQueuedTokens !== undefined) {
    checkInteger('maxQueuedTokens', maxQueuedTokens, 0, Number.MAX_SAFE_INTEGER)
  }
  return { maxQueue, maxQueuedTokens }
}

export const loadOptions: OptionNames<LoadOptions> = {
  ...readOptions,
  quantize: true,
  head: true,
  skip: true,
  kv: true,
  outliers: true,
  maxContext: true,
  kvBytes: true,
  prefixCache: checkBoolean,
  verify: checkBoolean,
  ...queueOptions,
}

/**
 * Loads a checkpoint.
 *
 * @throws as `Model.load`
 */
export async function loadCheckpoint(
  pool: Pool,
  folder: string,
  options: LoadOptions,
): Promise<ModelParts> {
  await using checkpoint = await Checkpoint.open(folder)
  const { config } = checkpoint
  const { specs, formatOf, outliers, ...settings } = planModel(checkpoint, options)
  const tensors = tensorsOfModel(checkpoint, specs)
  refuseOthers(checkpoint, tensors)

  const reader = new TensorReader(checkpoint, [...tensors], options)
  const norms = await readNorms(pool, reader)
  const embedding = await readDense(pool, reader, EMBEDDING, [config.vocabSize, config.hiddenSize])
  await using quantizer = new Int4Quantizer(pool)
  const linears = await makeEach<LinearSpec, ModelLinear>(specs, (spec) => {
    const tied = spec.weight === EMBEDDING ? embedding : undefined
    const format = formatOf(spec)
    if (format === 'float') return toFloatLinear(pool, reader, spec, tied)
    const most = outliers ?? defaultOutliers(spec.inFeatures)
    return format === 'int4'
      ? toInt4Linear(pool, reader, spec, most, quantizer)
      : toLinear(pool, reader, spec, most, tied)
  })
  const network = { config, embedding, norms, linears }
  const texts = checkpoint.takeTexts()
  texts.endWith(pool)
  return { pool, network, ...settings, folder, texts, isMapped: false }
}

/** How a checkpoint runs. */
export interface Plan extends RunPlan {
  /** Every Linear by name. */
  readonly specs: ReadonlyMap<string, LinearSpec>
  readonly formatOf: (spec: LinearSpec) => LinearFormat
}

/** How a model runs, whatever the formats of its weights. */
export interface RunPlan {
  /** Of all Linears that are quantised; by default each has its own. */
  readonly outliers: number | undefined
  readonly cacheType: CacheType
  readonly maxContext: number
  readonly kvBytes: number
  readonly prefixCache: boolean
  readonly limits: QueueLimits
}

/**
 * Decides what the options leave open.
 *
 * @throws ArgumentError for one that is out of range
 */
export function planModel(checkpoint: Checkpoint, options: LoadOptions): Plan {
  const { config } = checkpoint
  const specs = linearSpecs(config)
  const quantize = chooseQuantize(checkpoint, options)
  const formatOf = chooseFormats(checkpoint, specs, quantize, options)
  return { specs, formatOf, ...planRun(config, quantize, options) }
}

/**
 * Decides what the options leave open of how a model runs.
 *
 * @param quantize how its Linears run
 * @throws ArgumentError for one that is out of range
 */
export function planRun(
  config: ModelConfig,
  quantize: Quantization,
  options: LoadOptions,
): RunPlan {
  const cacheType = chooseCacheType(quantize, options)
  const maxContext = chooseContext(config.maxPositionEmbeddings, options)
  const { kvBytes = defaultKvBytes(), prefixCache = true, outliers } = options
  if (outliers !== undefined) checkOutliers(outliers)
  checkInteger('kvBytes', kvBytes, 1, Number.MAX_SAFE_INTEGER)
  const limits = toLimits(options)
  return { outliers, cacheType, maxContext, kvBytes, prefixCache, limits }
}

/** A quarter of the memory that this process may still have. */
function defaultKvBytes(): number {
  // since Node 20.13
  const available = process.availableMemory?.() ?? freemem()
  return Math.max(1, Math.floor(available / 4))
}

function chooseQuantize(
  checkpoint: Checkpoint,
  { quantize = checkpoint.config.quantization }: LoadOptions,
): Quantization {
  if (quantizations.includes(quantize)) return quantize
  throw new ArgumentError('quantize', `one of ${quantizations.join(', ')}`, describe(quantize))
}

function chooseCacheType(quantize: Quantization, { kv }: LoadOptions): CacheType {
  const type = kv ?? (quantize === 'none' ? 'float32' : 'bfloat16')
  if (cacheTypes.includes(type)) return type
  throw new ArgumentError('kv', `one of ${cacheTypes.join(', ')}`, describe(kv))
}

function chooseContext(most: number, { maxContext = most }: LoadOptions): number {
  checkInteger('maxContext', maxContext, 2, most)
  return maxContext
}

/** In which format each Linear runs. */
function chooseFormats(
  checkpoint: Checkpoint,
  specs: ReadonlyMap<string, LinearSpec>,
  quantize: Quantization,
  { skip, head }: LoadOptions,
): (spec: LinearSpec) => LinearFormat {
  checkHead(head, quantize)
  if (quantize === 'none') return () => 'float'
  const { config } = checkpoint
  const skipped = skip && skipMatcher(skip, [...specs.keys()])
  return (spec) => {
    const stored = storedFormat(checkpoint, spec)
    const isFloat =
      skipped === undefined
        ? config.quantization !== 'none' && stored === 'float' && spec.name !== HEAD
        : skipped(spec.name) !== undefined
    if (isFloat) return 'float'
    if (quantize === 'w8a8') return 'int8'
    if (spec.name === HEAD && head !== undefined) return head
    if (stored === 'int4' || stored === 'packed') return 'int4'
    // a checkpoint with some Linears in four bits has chosen for all
    if (stored === 'int8' && config.quantization === 'w4a8') return 'int8'
    return defaultW4A8Format(spec.name, config)
  }
}

function tensorsOfModel(
  checkpoint: Checkpoint,
  specs: ReadonlyMap<string, LinearSpec>,
): Set<string> {
  const names = new Set([EMBEDDING])
  for (const name of normSizes(checkpoint.config).keys()) names.add(`${name}.weight`)
  for (const spec of specs.values()) {
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
    const harmless = name === HEAD_WEIGHT || name.endsWith('.rotary_emb.inv_freq')
    if (!tensors.has(name) && !harmless) {
      const problem = `tensor ${name} belongs to no part of the model`
      throw new FormatError(checkpoint.fileOf(name), problem)
    }
  }
}

async function readNorms(pool: Pool, reader: TensorReader): Promise<Map<string, Float32Array>> {
  const norms = new Map<string, Float32Array>()
  for (const [name, size] of normSizes(reader.checkpoint.config)) {
    const weight = pool.memory.array('float32', size)
    weight.set(await reader.readFloat(`${name}.weight`, [size]))
    norms.set(name, weight)
  }
  return norms
}

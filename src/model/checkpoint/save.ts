import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ArgumentError, checkInteger, checkSignal } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { parseConfig } from '../config/config.js'
import { w8a8Config } from '../config/quantization-config.js'
import { readJson } from '../json/files.js'
import { type ReadOptions, readOptions } from './safetensors.js'
import { safetensorsBytes } from './safetensors-writer.js'
import { indexOf, planShards } from './shard-plan.js'
import { INDEX } from './shards.js'
import type { TensorSource } from './tensor-source.js'

/** What belongs to a checkpoint beside config.json and the tensors, where it is there. */
const COMPANIONS = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'generation_config.json',
]

export interface CheckpointContent {
  /** The folder whose config.json and tokenizer the new checkpoint takes over. */
  readonly source: string
  /** Names of the Linears that stay floats, such as `lm_head`. */
  readonly ignore: readonly string[]
  /**
   * Of every int8 Linear `<name>.weight`, I8 [N, K], and `<name>.weight_scale`, F32 [N, 1];
   * everything else as the source has it.
   */
  readonly tensors: Iterable<TensorSource>
}

export interface SaveOptions extends ReadOptions {
  /** The most bytes of tensors in one file; a larger tensor has one of its own. 5 GB by default. */
  shardBytes?: number | undefined
}

const saveOptions: OptionNames<SaveOptions> = { ...readOptions, shardBytes: true }

/**
 * Writes a W8A8 checkpoint folder in the compressed-tensors layout, which `loadModel` and other
 * runtimes read. It appears as a whole at the end: a failure or an abort leaves nothing behind.
 *
 * The files begin with the shapes of their tensors, so `tensors` are listed first, and asked for
 * their bytes one by one afterwards.
 *
 * @param folder new, or empty
 * @param options `onProgress` counts bytes of tensors
 * @throws ArgumentError for a folder that cannot be written or holds something, or tensors that are
 *   not what they say; FormatError if the source's config.json is not one to load; the signal's
 *   reason; what a tensor's chunks throw; the system's own error where it cannot write
 */
export async function saveCheckpoint(
  folder: string,
  { source, ignore, tensors }: CheckpointContent,
  options: SaveOptions = {},
): Promise<void> {
  checkOptions(options, saveOptions)
  const { shardBytes = 5e9, signal, onProgress } = options
  checkSignal(signal)
  checkInteger('shardBytes', shardBytes, 1, Number.MAX_SAFE_INTEGER)
  const shards = planShards(tensors, shardBytes)
  const total = shards.reduce((bytes, { byteLength }) => bytes + byteLength, 0)
  const config = await quantizedConfig(join(source, 'config.json'), ignore)
  await checkEmpty(folder)

  const target = resolve(folder)
  const partial = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  await mkdir(partial).catch((error) => {
    throw new ArgumentError('folder', 'one that can be made', error.message)
  })
  try {
    await writeJson(join(partial, 'config.json'), config)
    await copyCompanions(source, partial)
    let done = 0
    const count = (bytes: number) => {
      done += bytes
      onProgress?.(done, total)
    }
    for (const { file, tensors } of shards) {
      await writeFile(join(partial, file), safetensorsBytes(tensors, { signal, count }), {
        flush: true,
      })
    }
    if (shards.length > 1) await writeJson(join(partial, INDEX), indexOf(shards))
    signal?.throwIfAborted()
    await unlessMissing(rmdir(target))
    await rename(partial, target)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

async function quantizedConfig(file: string, ignore: readonly string[]): Promise<object> {
  const json = await readJson(file)
  parseConfig(file, json)
  return { ...(json as object), quantization_config: w8a8Config(ignore) }
}

/** @throws ArgumentError if the folder holds something; the system's own error if it is none */
export async function checkEmpty(folder: string): Promise<void> {
  const [entry] = (await unlessMissing(readdir(folder))) ?? []
  if (entry === undefined) return
  throw new ArgumentError('folder', 'a new or an empty one', `${folder} with ${entry} in it`)
}

async function copyCompanions(from: string, to: string): Promise<void> {
  for (const name of COMPANIONS) await unlessMissing(copyFile(join(from, name), join(to, name)))
}

async function writeJson(file: string, json: object): Promise<void> {
  await writeFile(file, `${JSON.stringify(json, null, 2)}\n`, { flush: true })
}

/** Awaits work on a file or folder; undefined if it is not there. */
async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

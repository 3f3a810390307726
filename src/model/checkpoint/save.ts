import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ArgumentError, checkInteger } from '../../errors.js'
import type { OptionNames } from '../../options.js'
import { w4a8Config, w8a8Config } from '../config/quantization-config.js'
import { unlessMissing, writeJson } from '../json/files.js'
import { readCompanions } from './companions.js'
import { safetensorsBytes } from './safetensors-writer.js'
import { indexOf, planShards } from './shard-plan.js'
import { INDEX } from './shards.js'
import { type ReadOptions, readOptions } from './tensor-file.js'
import type { TensorSource } from './tensor-source.js'

export interface CheckpointContent {
  /** The folder or GGUF file whose config and tokenizer the new checkpoint takes over. */
  readonly source: string
  /** Changes to its config.json. */
  readonly config?: object
  /** Names of the Linears that stay float, such as `lm_head`. */
  readonly ignore: readonly string[]
  /** Where some Linears are in four bits: the bits of the weights of all that are not float, by name. */
  readonly bits?: ReadonlyMap<string, number> | undefined
  /**
   * Of every int8 Linear `<name>.weight`, I8 [N, K], and `<name>.weight_scale`, F32 [N, 1]; of every 4-bit one
   * `<name>.weight`, U8 [N, ceil(K / 2)], with `<name>.weight_multiplier`, I8 [N, ceil(K / 32)], too; everything else as
   * in the source.
   */
  readonly tensors: Iterable<TensorSource>
}

export interface SaveOptions extends ReadOptions {
  /** The most bytes of tensors in one file; a larger tensor gets a file of its own. 5 GB by default. */
  shardBytes?: number | undefined
}

export const saveOptions: OptionNames<SaveOptions> = { ...readOptions, shardBytes: true }

/**
 * Writes a W8A8 checkpoint folder in the compressed-tensors layout, which `loadModel` and other runtimes read, or a W4A8
 * one in dotpool's own. It appears as a whole at the end: a failure or an abort leaves nothing behind.
 *
 * The files begin with the shapes of their tensors, so `tensors` are listed first, and their bytes are requested one by
 * one afterwards.
 *
 * @param folder new, or empty
 * @param options `onProgress` counts bytes of tensors
 * @throws ArgumentError for a folder that cannot be written or is not empty, or tensors whose bytes do not match
 *   their shapes; FormatError if the source's config.json cannot be loaded; the signal's reason; errors of a
 *   tensor's chunks; the system's own error where it cannot write
 */
export async function saveCheckpoint(
  folder: string,
  { source, config: changes, ignore, bits, tensors }: CheckpointContent,
  options: SaveOptions = {},
): Promise<void> {
  const { shardBytes = 5e9, signal, onProgress } = options
  checkInteger('shardBytes', shardBytes, 1, Number.MAX_SAFE_INTEGER)
  const shards = planShards(tensors, shardBytes)
  const total = shards.reduce((bytes, { byteLength }) => bytes + byteLength, 0)
  const companions = await readCompanions(source)
  await checkEmpty(folder)

  const target = resolve(folder)
  const partial = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  await mkdir(partial).catch((error) => {
    throw new ArgumentError('folder', 'a folder that can be created', error.message)
  })
  try {
    const quantization = bits === undefined ? w8a8Config(ignore) : w4a8Config(ignore, bits)
    const config = { ...companions.config, ...changes, quantization_config: quantization }
    await writeJson(join(partial, 'config.json'), config)
    await companions.writeTo(partial)
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

/** @throws ArgumentError if the folder is not empty, or not a folder */
export async function checkEmpty(folder: string): Promise<void> {
  const entries = await unlessMissing(readdir(folder)).catch((error) => {
    throw new ArgumentError('folder', 'a new or an empty folder', error.message)
  })
  const [entry] = entries ?? []
  if (entry === undefined) return
  throw new ArgumentError('folder', 'a new or an empty folder', `${folder} with ${entry} in it`)
}

import { basename, join } from 'node:path'
import { FormatError } from '../../errors.js'
import { Fields, show } from '../json/fields.js'
import { FileLimit, ifThere, readJson } from '../json/files.js'
import { Safetensors } from './safetensors.js'
import type { TensorFile } from './tensor-file.js'

/** The file of all tensors. */
export const WHOLE = 'model.safetensors'

/** The index that names the file of each tensor where there are several. */
export const INDEX = 'model.safetensors.index.json'

/** The tensors of a checkpoint, in one file or several. */
export class Shards {
  /** The only file, or the index of the others. */
  readonly file: string
  readonly #files: readonly TensorFile[]
  readonly #owners = new Map<string, TensorFile>()

  /**
   * @param file the only file, or the index of the others
   * @param files open; no two hold a tensor of the same name
   */
  constructor(file: string, files: readonly TensorFile[]) {
    this.file = file
    this.#files = files
    for (const shard of files) {
      for (const name of shard.entries.keys()) this.#owners.set(name, shard)
    }
  }

  /**
   * Opens the files of a folder: model.safetensors, or those that model.safetensors.index.json lists. Checks their
   * headers against the index. Close it when done.
   *
   * @throws FormatError naming the file that is missing, broken, or differs from the index, and the
   *   tensor; nothing stays open then
   */
  static async open(folder: string): Promise<Shards> {
    const wholeFile = join(folder, WHOLE)
    const whole = await ifThere(Safetensors.open(wholeFile))
    if (whole !== undefined) return new Shards(wholeFile, [whole])
    const indexFile = join(folder, INDEX)
    const index = await ifThere(readJson(indexFile, FileLimit.tensorList))
    if (index === undefined) throw new FormatError(wholeFile, `neither it nor ${INDEX} exists`)
    const shardOf = parseIndex(indexFile, index)
    const files: Safetensors[] = []
    try {
      for (const name of new Set(shardOf.values())) {
        files.push(await Safetensors.open(join(folder, name)))
      }
      checkPlaces(folder, files, shardOf)
      return new Shards(indexFile, files)
    } catch (error) {
      for (const file of files) await file.close()
      throw error
    }
  }

  /** The size of all tensors in the files. */
  get dataBytes(): number {
    return this.#files.reduce((bytes, file) => bytes + file.dataBytes, 0)
  }

  /** Names of all tensors. */
  get names(): string[] {
    return [...this.#owners.keys()]
  }

  has(name: string): boolean {
    return this.#owners.has(name)
  }

  /**
   * The file that holds a tensor.
   *
   * @throws FormatError if there is no such tensor
   */
  of(name: string): TensorFile {
    const owner = this.#owners.get(name)
    if (owner === undefined) throw new FormatError(this.file, `tensor ${name} is missing`)
    return owner
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close()
  }
}

/** The file of each tensor. */
function parseIndex(file: string, json: unknown): Map<string, string> {
  const { values } = new Fields(file, json).required('weight_map')
  const shardOf = new Map<string, string>()
  for (const [name, shard] of Object.entries(values)) {
    if (typeof shard !== 'string' || !/^[^/\\\0]+\.safetensors$/.test(shard)) {
      const problem = `weight_map places tensor ${name} in ${show(shard)}, which is not a .safetensors file`
      throw new FormatError(file, problem)
    }
    shardOf.set(name, shard)
  }
  return shardOf
}

/** Every tensor must be in the file where the index places it, and in no other. */
function checkPlaces(
  folder: string,
  files: readonly Safetensors[],
  shardOf: ReadonlyMap<string, string>,
): void {
  const found = new Set<string>()
  for (const { file, entries } of files) {
    for (const name of entries.keys()) {
      const shard = shardOf.get(name)
      const place = shard === undefined ? 'nowhere' : `in ${shard}`
      if (shard !== basename(file)) {
        throw new FormatError(file, `tensor ${name} is here, but ${INDEX} places it ${place}`)
      }
      found.add(name)
    }
  }
  for (const [name, shard] of shardOf) {
    if (found.has(name)) continue
    throw new FormatError(join(folder, shard), `tensor ${name} is missing, but ${INDEX} names it`)
  }
}

import { join } from 'node:path'
import { FormatError } from '../errors.js'
import type { Tensor } from '../tensor.js'
import { type ModelConfig, parseConfig } from './config.js'
import { readJson } from './files.js'
import { type ReadOptions, Safetensors } from './safetensors.js'
import type { TensorEntry } from './safetensors-header.js'
import { Tokenizer } from './tokenizer.js'

/** A folder with config.json, tokenizer.json and model.safetensors, opened and checked. */
export class Checkpoint {
  readonly config: ModelConfig
  readonly tokenizer: Tokenizer
  readonly #tensors: Safetensors

  private constructor(config: ModelConfig, tokenizer: Tokenizer, tensors: Safetensors) {
    this.config = config
    this.tokenizer = tokenizer
    this.#tensors = tensors
  }

  /**
   * Opens a checkpoint; no weight is read yet. Close it when done.
   *
   * @throws FormatError naming the file that is missing, broken, or of a kind this version does not
   *   know; nothing stays open then
   */
  static async open(folder: string): Promise<Checkpoint> {
    const configFile = join(folder, 'config.json')
    const config = parseConfig(configFile, await readJson(configFile))
    const tokenizerFile = join(folder, 'tokenizer.json')
    const tokenizer = Tokenizer.parse(tokenizerFile, await readJson(tokenizerFile))
    const tensors = await Safetensors.open(join(folder, 'model.safetensors'))
    return new Checkpoint(config, tokenizer, tensors)
  }

  /** The file of the tensors. */
  get file(): string {
    return this.#tensors.file
  }

  /** Names of all tensors. */
  get names(): string[] {
    return [...this.#tensors.entries.keys()]
  }

  /** @throws FormatError if there is no such tensor */
  entry(name: string): TensorEntry {
    const entry = this.#tensors.entries.get(name)
    if (entry === undefined) throw new FormatError(this.file, `tensor ${name} is missing`)
    return entry
  }

  /**
   * Reads a tensor into shared memory.
   *
   * @param dims the shape it must have
   * @throws FormatError if it is missing, has another shape, or cannot be read; DisposedError after
   *   {@link close}
   */
  async read(name: string, dims: readonly number[], options?: ReadOptions): Promise<Tensor> {
    const found = this.entry(name).dims
    if (found.length !== dims.length || found.some((d, i) => d !== dims[i])) {
      throw new FormatError(this.file, `tensor ${name}: expected shape [${dims}], got [${found}]`)
    }
    return await this.#tensors.read(name, options)
  }

  async close(): Promise<void> {
    await this.#tensors.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

import {
  ArgumentError,
  checkInteger,
  checkPath,
  checkSignal,
  checkString,
  DisposedError,
  describe,
  FormatError,
} from '../../errors.js'
import { checkOptions } from '../../options.js'
import { checkLength, copyDims, type Tensor } from '../../tensor.js'
import { viewOf } from '../../views.js'
import { type ModelConfig, parseConfig } from '../config/config.js'
import { EMBEDDING, HEAD_WEIGHT } from '../config/parameters.js'
import { readConfig } from '../config/read-config.js'
import { openGguf } from '../gguf/open.js'
import { isFile } from '../json/files.js'
import { isPacked } from '../packed/packed-file.js'
import type { ChatTemplate } from '../text/chat-template.js'
import { Texts } from '../text/texts.js'
import { readTextSource } from '../text/thread/text-source.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { Shards } from './shards.js'
import { type ReadOptions, readOptions, type TensorEntry, type TensorFile } from './tensor-file.js'

/** What names of all tensors but the head's begin with. Checkpoints of a decoder alone, for embeddings, leave it out. */
const PREFIX = 'model.'
const bare = /^(embed_tokens|layers|norm)\./

/** The largest piece of {@link Checkpoint.chunks}, bytes. */
const PIECE = 16 << 20

/**
 * A model on disk, opened and checked. Either a folder in the Hugging Face layout: config.json and the tensors, in one
 * safetensors file or several, with the tokenizer and the chat template if present. Or a GGUF file, which has the same
 * content, presented under the same names.
 */
export class Checkpoint {
  /** Or the GGUF file, the first if there are several. */
  readonly folder: string
  /** Of config.json, with the end-of-sequence tokens that generation_config.json adds. */
  readonly config: ModelConfig
  readonly #texts: Texts
  readonly #shards: Shards
  #endsTexts = true

  private constructor(folder: string, config: ModelConfig, texts: Texts, shards: Shards) {
    this.folder = folder
    this.config = config
    this.#texts = texts
    this.#shards = shards
  }

  /**
   * Opens a checkpoint; no weight is read yet. Close it when done.
   *
   * @param folder or GGUF file
   * @throws FormatError naming the file that is missing, broken, or of a kind that this version does not
   *   support; nothing stays open then
   */
  static async open(folder: string): Promise<Checkpoint> {
    checkPath('folder', folder)
    if (await isPacked(folder)) {
      const problem = 'is a packed model, which Model.load takes, but not a checkpoint'
      throw new FormatError(folder, problem)
    }
    if (await isFile(folder)) return await Checkpoint.#openGguf(folder)
    const config = await readConfig(folder)
    const shards = await Shards.open(folder)
    return await Checkpoint.#orClose(shards, async () => {
      const texts = await Texts.open(await readTextSource(folder))
      return new Checkpoint(folder, config, texts, shards)
    })
  }

  static async #openGguf(file: string): Promise<Checkpoint> {
    const { text, config: json, shards } = await openGguf(file)
    return await Checkpoint.#orClose(shards, async () => {
      const config = parseConfig(file, json)
      const texts = await Texts.open(text)
      return new Checkpoint(file, { ...config, eosTokenIds: texts.eosTokenIds }, texts, shards)
    })
  }

  static async #orClose(shards: Shards, open: () => Promise<Checkpoint>): Promise<Checkpoint> {
    try {
      return await open()
    } catch (error) {
      await shards.close()
      throw error
    }
  }

  /** Of tokenizer.json, if there is one. */
  get tokenizer(): Tokenizer | undefined {
    return this.#texts.tokenizer
  }

  /** Of chat_template.jinja or tokenizer_config.json; its `exists` tells whether there is one. */
  get chatTemplate(): ChatTemplate {
    return this.#texts.chatTemplate
  }

  /** @internal The same, for a caller that takes over its ownership: {@link close} then leaves it open. */
  takeTexts(): Texts {
    this.#endsTexts = false
    return this.#texts
  }

  /** The file of the tensors, or the index of their files. */
  get file(): string {
    return this.#shards.file
  }

  /** The size of all tensors on disk. */
  get dataBytes(): number {
    return this.#shards.dataBytes
  }

  /** Names of all tensors. */
  get names(): string[] {
    return this.#shards.names.map((name) => {
      const whole = PREFIX + name
      return bare.test(name) && !this.#shards.has(whole) ? whole : name
    })
  }

  /** Whether there is such a tensor. */
  has(name: string): boolean {
    return this.#shards.has(this.#stored(name))
  }

  /**
   * The file that holds a tensor.
   *
   * @throws FormatError if there is no such tensor
   */
  fileOf(name: string): string {
    return this.#shards.of(this.#stored(name)).file
  }

  /** @throws FormatError if there is no such tensor */
  entry(name: string): TensorEntry {
    const stored = this.#stored(name)
    return this.#shards.of(stored).entry(stored)
  }

  /**
   * A tensor's dtype as the file spells it, e.g. `BF16`.
   *
   * @throws FormatError if there is no such tensor
   */
  dtype(name: string): string {
    return this.entry(name).dtype
  }

  /**
   * Reads a tensor into shared memory.
   *
   * @param dims the shape it must have
   * @throws FormatError if it is missing, has another shape, or cannot be read; DisposedError after
   *   {@link Checkpoint.close}
   */
  async read(name: string, dims: readonly number[], options: ReadOptions = {}): Promise<Tensor> {
    const checked = checkOptions(options, readOptions)
    return await this.#shaped(name, dims).read(this.#stored(name), checked)
  }

  /**
   * Reads a tensor of F32, BF16 or F16 as float32 into shared memory.
   *
   * @param dims the shape it must have
   * @throws as {@link Checkpoint.read}
   */
  async readFloat(
    name: string,
    dims: readonly number[],
    options: ReadOptions = {},
  ): Promise<Float32Array> {
    const checked = checkOptions(options, readOptions)
    return await this.#shaped(name, dims).readFloat(this.#stored(name), checked)
  }

  /**
   * Reads the bytes of the rows [firstRow, lastRow) of a matrix, as the file stores them, so that a weight of any size
   * can be processed while it streams.
   *
   * @param into receives the rows; as long as them, and not to be touched before the call settles
   * @throws ArgumentError for rows out of range or a buffer of another length; FormatError if
   *   the tensor is missing, not a matrix, or cannot be read; DisposedError after {@link Checkpoint.close}
   */
  async readRows(
    name: string,
    firstRow: number,
    lastRow: number,
    into: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    const { dims, byteLength } = this.entry(name)
    if (dims.length !== 2) {
      const problem = `tensor ${name}: expected a matrix, got shape [${dims}]`
      throw new FormatError(this.fileOf(name), problem)
    }
    checkInteger('firstRow', firstRow, 0, dims[0])
    checkInteger('lastRow', lastRow, firstRow, dims[0])
    const rowBytes = dims[0] === 0 ? 0 : byteLength / dims[0]
    const expected = (lastRow - firstRow) * rowBytes
    const bytes = viewOf(Uint8Array, into)
    if (bytes?.length !== expected) {
      throw new ArgumentError('into', `a Uint8Array of ${expected} bytes`, describe(into))
    }
    checkSignal('signal', signal)
    const stored = this.#stored(name)
    await this.#shards.of(stored).readBytes(stored, firstRow * rowBytes, bytes, { signal })
    checkLength('into', bytes, expected)
  }

  /**
   * @internal Reads the rows [firstRow, lastRow) of a matrix in the blocks that its entry names.
   *
   * @throws FormatError if there are none, or the file cannot be read; DisposedError after {@link Checkpoint.close}
   */
  async readBlocks(name: string, firstRow: number, lastRow: number): Promise<Uint8Array> {
    const stored = this.#stored(name)
    return await this.#shards.of(stored).readBlocks(stored, firstRow, lastRow)
  }

  /**
   * All bytes of a tensor in order, as the file stores them, in pieces of at most 16 MiB. A piece is valid until the
   * next one is requested.
   *
   * @throws at the first step what {@link Checkpoint.read} throws
   */
  async *chunks(name: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    checkSignal('signal', signal)
    const stored = this.#stored(name)
    const shard = this.#shards.of(stored)
    const { byteLength } = shard.entry(stored)
    const piece = new Uint8Array(Math.min(byteLength, PIECE))
    for (let done = 0; done < byteLength; done += piece.byteLength) {
      const chunk = piece.subarray(0, byteLength - done)
      await shard.readBytes(stored, done, chunk, { signal })
      yield chunk
    }
  }

  async close(): Promise<void> {
    if (this.#endsTexts) await this.#texts.end(new DisposedError(this.folder))
    await this.#shards.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @throws FormatError unless there is such a tensor, of shape `dims` */
  checkShape(name: string, dims: readonly number[]): void {
    this.#shaped(name, dims)
  }

  /** The tensor's name in the files: a tied embedding and head are stored under either name. */
  #stored(name: string): string {
    checkString('name', name)
    const twin = { [EMBEDDING]: HEAD_WEIGHT, [HEAD_WEIGHT]: EMBEDDING }[name]
    const names = twin !== undefined && this.config.tieWordEmbeddings ? [name, twin] : [name]
    for (const one of names) {
      if (this.#shards.has(one)) return one
      const short = one.slice(PREFIX.length)
      if (one.startsWith(PREFIX) && bare.test(short) && this.#shards.has(short)) return short
    }
    return name
  }

  #shaped(name: string, dims: readonly number[]): TensorFile {
    const wanted = copyDims(dims)
    const found = this.entry(name).dims
    const shard = this.#shards.of(this.#stored(name))
    if (found.length === wanted.length && found.every((d, i) => d === wanted[i])) return shard
    throw new FormatError(shard.file, `tensor ${name}: expected shape [${wanted}], got [${found}]`)
  }
}

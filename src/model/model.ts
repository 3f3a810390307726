import { loadChannel } from '../diagnostics.js'
import { ArgumentError, DisposedError, describe } from '../errors.js'
import { Linear } from '../ops/linear.js'
import { typesOf } from '../ops/linear-group.js'
import { type AbortOptions, abortOptions, checkOptions } from '../options.js'
import type { Pool } from '../pool/pool.js'
import { Tensor } from '../tensor.js'
import type { SaveOptions } from './checkpoint/save.js'
import type { ReadOptions } from './checkpoint/tensor-file.js'
import { freezeConfig, type ModelConfig } from './config/config.js'
import { Decoder } from './decoder/decoder.js'
import type { ModelLinear } from './decoder/model-linear.js'
import type { ModelStats } from './decoder/scheduler.js'
import { type EmbedOptions, embedTexts } from './embedding/embed.js'
import { fingerprintOf } from './fingerprint.js'
import {
  type GenerateOptions,
  type GenerateTokensOptions,
  generateText,
  generateTokens,
} from './generation/generate.js'
import type { Generation } from './generation/generation.js'
import { meanNll, type NllOptions } from './generation/nll.js'
import type { Prompt } from './generation/prompt.js'
import { GrammarThread } from './grammar/thread/grammar-thread.js'
import { inspectModel, type ModelInfo } from './inspect.js'
import {
  type LoadOptions,
  type ModelParts,
  type QueueOptions,
  queueOptions,
  toLimits,
} from './load.js'
import { loadParts } from './load-parts.js'
import { packModel } from './packed/pack-model.js'
import { saveModel } from './save-model.js'
import type { ChatTemplate } from './text/chat-template.js'
import type { Texts } from './text/texts.js'
import type { TextFiles } from './text/thread/service.js'
import type { Tokenizer } from './text/tokenizer.js'

/**
 * A language model, run by all workers of a pool: a step of all requests that run at the same time is one program.
 * {@link Model.load} makes one.
 */
export class Model {
  readonly pool: Pool
  readonly config: ModelConfig
  /** The checkpoint's folder, or GGUF file, or packed model. */
  readonly folder: string
  /** The most tokens of one sequence, prompt and answer together. */
  readonly maxContext: number
  /** @internal */
  readonly decoder: Decoder
  readonly #texts: Texts
  readonly #grammars: GrammarThread
  readonly #isMapped: boolean

  private constructor(parts: ModelParts) {
    this.pool = parts.pool
    this.config = freezeConfig(parts.network.config)
    this.folder = parts.folder
    this.maxContext = parts.maxContext
    this.decoder = new Decoder(parts, this)
    this.#texts = parts.texts
    this.#isMapped = parts.isMapped
    const { vocabSize, eosTokenIds } = parts.network.config
    this.#grammars = new GrammarThread(
      () => ({ table: this.tokenizer.table, size: vocabSize, endTokens: eosTokenIds }),
      parts.pool.memory,
    )
    parts.pool.attach(this.#grammars)
    Object.freeze(this)
  }

  /**
   * Loads a checkpoint folder in the Hugging Face layout: config.json, tokenizer.json, and tensors in
   * one safetensors file or several; or a GGUF file, the first where there are several; or what {@link Model.pack} wrote. A float weight is quantised while it streams from disk, so that
   * memory never holds more than the packed model and a few megabytes. A packed model is mapped, and keeps its file open
   * until it is disposed of: its weights are read where they lie, by all processes that load it, and so must not be
   * written to, nor the file be shortened meanwhile.
   *
   * @param folder or GGUF file, or packed model
   * @param options `onProgress` counts bytes of weights
   * @throws FormatError naming file and tensor, ArgumentError, OutOfMemoryError, the signal's reason, what the pool
   *   throws; nothing stays allocated then
   */
  static async load(pool: Pool, folder: string, options: LoadOptions = {}): Promise<Model> {
    const start = performance.now()
    const model = new Model(await loadParts(pool, folder, options))
    if (loadChannel.hasSubscribers) {
      const { weightBytes } = model
      const millis = performance.now() - start
      loadChannel.publish({ model, pool, path: folder, weightBytes, millis })
    }
    return model
  }

  /**
   * Tells what a checkpoint takes before it is loaded. No weight is read.
   *
   * @param folder or GGUF file, or packed model
   * @param options as for {@link Model.load}
   * @throws FormatError, ArgumentError
   */
  static async inspect(folder: string, options: LoadOptions = {}): Promise<ModelInfo> {
    return await inspectModel(folder, options)
  }

  /** @throws ArgumentError if the checkpoint has no tokenizer.json */
  get tokenizer(): Tokenizer {
    const { tokenizer } = this.#texts
    if (tokenizer !== undefined) return tokenizer
    const got = `text for ${this.folder}`
    throw new ArgumentError('prompt', 'tokens, for there is no tokenizer.json', got)
  }

  /** @internal Whoever follows texts that have a format; throws an ArgumentError if there is no tokenizer.json. */
  get grammars(): GrammarThread {
    if (this.#texts.tokenizer !== undefined) return this.#grammars
    const expected = 'a checkpoint with a tokenizer.json, to know what tokens stand for'
    throw new ArgumentError('responseFormat', expected, this.folder)
  }

  /** The chat template of its checkpoint, which may have none. */
  get chatTemplate(): ChatTemplate {
    return this.#texts.chatTemplate
  }

  /**
   * What its checkpoint says about text, for `Texts.fromFiles` of a process that has no weights.
   *
   * @throws FormatError, DeadlineError, DisposedError
   */
  async textFiles(): Promise<TextFiles> {
    this.decoder.check()
    return await this.#texts.files()
  }

  /**
   * A digest of all that its numbers depend on: the version of dotpool, the config, the weights as they run, and the
   * dtype of the KV cache. Models of the same fingerprint give the same bits, on every CPU. It reads all weights, some of
   * them at a time, so that the event loop goes on.
   *
   * @returns SHA-256, 64 hexadecimal digits
   * @throws DisposedError, the signal's reason
   */
  async fingerprint(options: AbortOptions = {}): Promise<string> {
    const { signal } = checkOptions(options, abortOptions)
    this.decoder.check()
    return await fingerprintOf(this.decoder, signal)
  }

  /** Every Linear by name, e.g. `model.layers.0.mlp.up_proj`, and `lm_head`. */
  get linears(): ReadonlyMap<string, ModelLinear> {
    return new Map(this.decoder.linears)
  }

  /** What it has done so far, and what it does now. */
  stats(): ModelStats {
    return this.decoder.stats
  }

  /**
   * Bounds what may wait from now on, in place of what {@link Model.load} was given: for bounds that depend on how fast
   * the model is.
   *
   * @throws ArgumentError for one that is out of range
   */
  limitQueue(options: QueueOptions): void {
    this.decoder.limits = toLimits(checkOptions(options, queueOptions))
  }

  /** Weights that one token reads, bytes. */
  get weightBytes(): number {
    return [...this.linears.values()].reduce((sum, { weight }) => sum + weight.byteLength, 0)
  }

  /** Keys and values of one token, bytes. */
  get cacheBytes(): number {
    return this.decoder.cacheBytes
  }

  /**
   * Continues a prompt. The text streams as it comes, in pieces that never split a code point, and
   * ends where the model ends it, before a stop string, or with the context. Calls that run at the same
   * time share their steps, and each gets the text it would get alone.
   *
   * @param prompt text, messages for the checkpoint's chat template, or tokens; copied at once, as all options
   *   are, so that the caller may change theirs as soon as the call has returned
   * @returns the text to iterate over, and its `result`: why it ended, and how many tokens it took
   * @throws ArgumentError at once; later the signal's reason, QueueFullError, NotANumberError, NoTokenError if
   *   processors mask every token, ArgumentError if one is async or the response format cannot be enforced, what the
   *   pool throws
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): Generation {
    this.decoder.check()
    return generateText(this, prompt, options)
  }

  /** {@link Model.generate}, but tokens in, which are copied likewise, and tokens out. */
  generateTokens(
    tokens: ArrayLike<number>,
    options: GenerateTokensOptions = {},
  ): AsyncGenerator<number, void, void> {
    return generateTokens(this, tokens, options)
  }

  /**
   * Embeds texts as Qwen3-Embedding does: the hidden state of a text's last token, scaled to length 1, so that the
   * product of two is the cosine of their angle. A text gets the tokens that end it, if the tokenizer has such for it.
   * Texts share their steps with each other and with all other requests, and each gets the bits it would get alone.
   *
   * @param texts or their tokens, at least one and at most {@link Model.maxContext} of each; copied at once
   * @returns float32 [dimensions] for each
   * @throws ArgumentError, DisposedError, QueueFullError, NotANumberError, OutOfMemoryError, the signal's reason, and
   *   what the pool throws
   */
  async embed(
    texts: readonly (string | ArrayLike<number>)[],
    options: EmbedOptions = {},
  ): Promise<Float32Array[]> {
    return await embedTexts(this, texts, options)
  }

  /**
   * The logits of every token, given those before it.
   *
   * @param tokens M of them, at least one and at most {@link Model.maxContext}; copied at once
   * @returns float32 [M, vocabSize]
   * @throws ArgumentError, DisposedError, OutOfMemoryError, the signal's reason, and what the pool throws
   */
  async logits(tokens: ArrayLike<number>, options: AbortOptions = {}): Promise<Tensor<'float32'>> {
    const { signal } = checkOptions(options, abortOptions)
    const copy = this.decoder.copyTokens(tokens)
    const { length } = copy
    if (length > this.maxContext) {
      throw new ArgumentError('tokens', `at most ${this.maxContext}, the context`, `${length}`)
    }
    const logits = await this.decoder.logits(copy, { signal })
    return new Tensor('float32', logits, [length, this.config.vocabSize])
  }

  /**
   * Mean negative log likelihood of tokens, nats per predicted token; exp() of it is the perplexity.
   *
   * @param tokens at least two, copied at once; windows of them are independent sequences
   * @throws ArgumentError, DisposedError, the signal's reason, and what the pool throws
   */
  async nll(tokens: ArrayLike<number>, options: NllOptions = {}): Promise<number> {
    return await meanNll(this.decoder, tokens, options)
  }

  /**
   * Writes the model as a W8A8 checkpoint in the compressed-tensors layout, which {@link Model.load} and other
   * runtimes read. The folder appears as a whole at the end.
   *
   * @param folder new, or empty
   * @throws ArgumentError for a folder that cannot be written or holds something; FormatError if the
   *   folder that the model came from has changed; the signal's reason
   */
  async save(folder: string, options: SaveOptions = {}): Promise<void> {
    this.decoder.check()
    await saveModel(this, folder, options)
  }

  /**
   * Writes the model as one file that holds its weights as they run, with everything else that it consists of.
   * {@link Model.load} maps such a file, so that it loads in milliseconds and all processes of a machine share its memory.
   * The file appears as a whole at the end, and is read-only. It may replace one of its kind.
   *
   * @param options `onProgress` counts bytes
   * @throws ArgumentError for a file that cannot be created, or is there and no packed model; FormatError if the folder
   *   that the model came from has changed; the signal's reason; the system's own error where it cannot write
   */
  async pack(file: string, options: ReadOptions = {}): Promise<void> {
    this.decoder.check()
    const { network } = this.decoder
    await packModel({ folder: this.folder, network, texts: this.#texts }, file, options)
  }

  /** Releases all weights. What is being generated is rejected with a DisposedError, as later calls. */
  dispose(): void {
    const { memory } = this.pool
    const { memoryBytes } = this.decoder
    this.decoder.dispose()
    const reason = new DisposedError('the model')
    const whenEnded = Promise.all([this.#texts.end(reason), this.#grammars.end(reason)])
    // the error's stack keeps this model for as long as the threads have the error
    const discarded = this.#isMapped ? Infinity : memoryBytes
    void whenEnded.then(() => memory.discard(discarded))
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    const { architecture, numHiddenLayers } = this.config
    const megabytes = Math.round(this.weightBytes / 1e6)
    const parts = [architecture, `layers=${numHiddenLayers}`, `weights=${megabytes} MB`]
    const int8 = [...this.linears.values()].filter((linear) => linear instanceof Linear)
    const outliers = [...new Set(int8.map((linear) => linear.outliers))].sort((a, b) => a - b)
    const kept = `dtype=${typesOf(int8)}, outliers=${outliers.join('/')}`
    parts.push(int8.length === 0 ? 'dtype=float32' : kept)
    return `Model(${parts.join(', ')}) on ${this.pool}`
  }
}

/** Throws an ArgumentError unless it is a Model. */
export function checkModel(model: unknown, argument = 'model'): asserts model is Model {
  if (!(model instanceof Model)) throw new ArgumentError(argument, 'a Model', describe(model))
}

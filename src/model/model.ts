import { ArgumentError, checkList, DisposedError, describe } from '../errors.js'
import { type CacheType, PAGE, pageBytes } from '../layouts/kv-page.js'
import { Linear } from '../ops/linear.js'
import { type AbortOptions, abortOptions, checkOptions } from '../options.js'
import { newArray } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import { Tensor } from '../tensor.js'
import type { SaveOptions } from './checkpoint/save.js'
import { freezeConfig, type ModelConfig } from './config/config.js'
import type { Job } from './decoder/job.js'
import { LogitsJob, ScoreJob } from './decoder/jobs.js'
import type { Network } from './decoder/network.js'
import { PagePool } from './decoder/page.js'
import { PrefixCache } from './decoder/prefix-cache.js'
import type { Projection } from './decoder/projection.js'
import { type ModelStats, Scheduler } from './decoder/scheduler.js'
import { Sequence } from './decoder/sequence.js'
import { makeContext, makeSteps, type Step } from './decoder/step.js'
import { type LinearTrace, trace } from './decoder/trace.js'
import { mostOutputs } from './decoder/workspace.js'
import {
  type GenerateIdsOptions,
  type GenerateOptions,
  generateIds,
  generateText,
} from './generation/generate.js'
import { meanNll, type NllOptions } from './generation/nll.js'
import type { Prompt } from './generation/prompt.js'
import { type LoadOptions, loadParts } from './load.js'
import { saveModel } from './save-model.js'
import type { ChatTemplate } from './text/chat-template.js'
import type { Texts } from './text/texts.js'
import type { Tokenizer } from './text/tokenizer.js'

/** What a model is made of. */
export interface ModelParts {
  readonly pool: Pool
  /** The checkpoint's. */
  readonly folder: string
  readonly network: Network
  /** How keys and values are kept. */
  readonly cacheType: CacheType
  /** The most ids of one sequence. */
  readonly maxContext: number
  /** Of keys and values that no running text holds. */
  readonly prefixCacheBytes: number
  readonly texts: Texts
}

/**
 * A decoder, run by all workers of a pool: a step of all texts that are being written is one program.
 * {@link Model.load} makes one.
 */
export class Model {
  readonly pool: Pool
  readonly config: ModelConfig
  /** The checkpoint's folder, or GGUF file. */
  readonly folder: string
  /** The most ids of one text, prompt and answer together. */
  readonly maxContext: number
  readonly #parts: ModelParts
  readonly #steps: readonly Step[]
  readonly #scheduler: Scheduler
  readonly #pages: PagePool
  readonly #prefixes: PrefixCache
  #disposed = false

  private constructor(parts: ModelParts) {
    const { pool, network, cacheType, maxContext } = parts
    this.pool = pool
    this.config = freezeConfig(network.config)
    this.folder = parts.folder
    this.maxContext = maxContext
    this.#parts = parts
    this.#steps = makeSteps(pool, network, cacheType, maxContext)
    this.#scheduler = new Scheduler(this.#steps)
    const { numHiddenLayers, numKeyValueHeads, headDim } = network.config
    const bytes = pageBytes(cacheType, headDim, numKeyValueHeads, numHiddenLayers)
    const idlePages = Math.floor(parts.prefixCacheBytes / bytes)
    // so that the next text finds pages, rather than having them made, where ended texts fill the rest
    const freePages = Math.floor(idlePages / 3)
    this.#pages = new PagePool(pool, bytes, freePages)
    this.#prefixes = new PrefixCache(idlePages - freePages)
    Object.freeze(this)
  }

  /**
   * Loads a checkpoint folder in the Hugging Face layout: config.json, tokenizer.json, and tensors in
   * one safetensors file or several; or a GGUF file, the first where there are several. A float weight is quantised while it streams from disk, so that
   * memory never holds more than the packed model and a few megabytes.
   *
   * @param folder or GGUF file
   * @param options `onProgress` counts bytes of weights
   * @throws FormatError naming file and tensor, ArgumentError, OutOfMemoryError, the signal's reason, what the pool
   *   throws; nothing stays allocated then
   */
  static async load(pool: Pool, folder: string, options: LoadOptions = {}): Promise<Model> {
    return new Model(await loadParts(pool, folder, options))
  }

  /** @throws ArgumentError if the checkpoint has no tokenizer.json */
  get tokenizer(): Tokenizer {
    const { texts, folder } = this.#parts
    const { tokenizer } = texts
    if (tokenizer !== undefined) return tokenizer
    throw new ArgumentError('prompt', 'ids, for there is no tokenizer.json', `text for ${folder}`)
  }

  /** Every Linear by name, e.g. `model.layers.0.mlp.up_proj`, and `lm_head`. */
  get projections(): ReadonlyMap<string, Projection> {
    return new Map(this.#parts.network.projections)
  }

  /** What it has done so far. */
  stats(): ModelStats {
    return { ...this.#scheduler.stats }
  }

  /** Weights that one id reads, bytes. */
  get weightBytes(): number {
    return [...this.projections.values()].reduce((sum, { weight }) => sum + weight.byteLength, 0)
  }

  /** Keys and values of one id, bytes. */
  get cacheBytes(): number {
    return this.#pages.pageBytes / PAGE
  }

  /**
   * Continues a prompt. The text streams as it comes, in pieces that never split a code point, and
   * ends where the model ends it, before a stop string, or with the context. Calls that run at the same
   * time share their steps, and each gets the text it would get alone.
   *
   * @param prompt text, messages for the checkpoint's chat template, or ids; copied at once, as all options
   *   are, so that the caller may change theirs as soon as the call has returned
   * @throws ArgumentError at once; later the signal's reason, NotANumberError, NoTokenError if processors
   *   mask every token, ArgumentError if one is async, what the pool throws
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<string, void, void> {
    this.#check()
    return generateText(this, prompt, options)
  }

  /** {@link generate}, but ids in, which are copied likewise, and ids out. */
  generateIds(
    ids: ArrayLike<number>,
    options: GenerateIdsOptions = {},
  ): AsyncGenerator<number, void, void> {
    return generateIds(this, ids, options)
  }

  /**
   * The logits of every id, given those before it.
   *
   * @param ids M of them, at least one and at most {@link maxContext}; copied at once
   * @returns float32 [M, vocabSize]
   * @throws ArgumentError, DisposedError, OutOfMemoryError, the signal's reason, and what the pool throws
   */
  async logits(ids: ArrayLike<number>, options: AbortOptions = {}): Promise<Tensor<'float32'>> {
    const { signal } = checkOptions(options, abortOptions)
    const tokens = this.copyTokens(ids)
    const { length } = tokens
    if (length > this.maxContext) {
      throw new ArgumentError('ids', `at most ${this.maxContext}, the context`, `${length}`)
    }
    const { vocabSize } = this.config
    const logits = await this.#alone(
      length,
      (sequence) => new LogitsJob(sequence, tokens, vocabSize, signal),
    )
    return new Tensor('float32', logits, [length, vocabSize])
  }

  /**
   * Mean negative log likelihood of `ids`, nats per predicted id; exp() of it is the perplexity.
   *
   * @param ids at least two, copied at once; windows of them are independent texts
   * @throws ArgumentError, DisposedError, the signal's reason, and what the pool throws
   */
  async nll(ids: ArrayLike<number>, options: NllOptions = {}): Promise<number> {
    return await meanNll(this, ids, options)
  }

  /**
   * Writes the model as a W8A8 checkpoint in the compressed-tensors layout, which {@link load} and other
   * runtimes read. The folder appears as a whole at the end.
   *
   * @param folder new, or empty
   * @throws ArgumentError for a folder that cannot be written or holds something; FormatError if the
   *   folder that the model came from has changed; the signal's reason
   */
  async save(folder: string, options: SaveOptions = {}): Promise<void> {
    this.#check()
    await saveModel(this, folder, options)
  }

  /** Lets go of all weights. What is being generated is rejected with a DisposedError, as later calls. */
  dispose(): void {
    this.#disposed = true
    const reason = new DisposedError('the model')
    this.#scheduler.end(reason)
    void this.#parts.texts.end(reason)
    this.#prefixes.clear()
    for (const step of this.#steps) step.recompile()
    for (const projection of this.projections.values()) projection.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    const { architecture, numHiddenLayers } = this.config
    const megabytes = Math.round(this.weightBytes / 1e6)
    const parts = [architecture, `layers=${numHiddenLayers}`, `weights=${megabytes} MB`]
    const int8 = [...this.projections.values()].filter((linear) => linear instanceof Linear)
    const outliers = [...new Set(int8.map((linear) => linear.outliers))].sort((a, b) => a - b)
    parts.push(int8.length === 0 ? 'dtype=float32' : `dtype=int8, outliers=${outliers.join('/')}`)
    return `Model(${parts.join(', ')}) on ${this.pool}`
  }

  // ---- for what is built on it --------------------------------------------------------------------

  /**
   * @internal Puts Linears in place of those of the same names and disposes of the old ones. Not while
   * anything is being generated.
   */
  replaceProjections(projections: ReadonlyMap<string, Projection>): void {
    const mine = this.#parts.network.projections
    for (const [name, projection] of projections) {
      mine.get(name)?.dispose()
      mine.set(name, projection)
    }
    this.#prefixes.clear()
    for (const step of this.#steps) step.recompile()
  }

  /** @internal The chat template of its checkpoint, which may have none. */
  get chatTemplate(): ChatTemplate {
    return this.#parts.texts.chatTemplate
  }

  /** @internal A sequence that begins as `ids` do, with as many of their keys and values as are known. */
  begin(ids: Uint32Array, capacity: number): Sequence {
    this.#check()
    const sequence = new Sequence(this.pool, this.#pages, capacity)
    const known = this.#prefixes.find(ids)
    // the last id has to run all the same: its logits are wanted
    if (known !== undefined) sequence.fork(known.sequence, Math.min(known.count, ids.length - 1))
    this.#prefixes.add(sequence)
    return sequence
  }

  /** @internal A sequence that shares nothing with others; whoever begins it disposes of it. */
  beginAlone(capacity: number): Sequence {
    this.#check()
    return new Sequence(this.pool, this.#pages, capacity)
  }

  /** @internal The sequence has ended. */
  end(sequence: Sequence): void {
    this.#scheduler.drop(sequence)
    this.#prefixes.retire(sequence)
  }

  /** @internal */
  run<Result>(job: Job<Result>): Promise<Result> {
    if (this.#disposed) job.fail(new DisposedError('the model'))
    return this.#scheduler.run(job)
  }

  /** @internal The sum of the NLLs of all ids but the first, nats. */
  async score(ids: Uint32Array, signal?: AbortSignal): Promise<number> {
    return await this.#alone(ids.length, (sequence) => new ScoreJob(sequence, ids, signal))
  }

  /** @internal Tokens of a window that {@link trace} takes, at most. */
  get mostTraced(): number {
    return Math.min(this.maxContext, mostOutputs(this.config))
  }

  /** @internal Runs windows of tokens through, and shows every Linear at work. */
  async trace(
    windows: readonly Uint32Array[],
    visit: (linear: LinearTrace) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { pool, network, cacheType } = this.#parts
    const longest = Math.max(...windows.map(({ length }) => length))
    const context = makeContext(pool, network, cacheType, longest)
    const sequences = windows.map(({ length }) => this.beginAlone(length))
    try {
      const traced = windows.map((tokens, i) => ({ sequence: sequences[i], tokens }))
      await trace(context, traced, visit, signal)
    } finally {
      for (const sequence of sequences) sequence.release()
    }
  }

  /**
   * @internal A copy of tokens, for the caller may change theirs as soon as the call has returned.
   *
   * @param argument what the caller knows them by
   * @throws ArgumentError unless they are some of this model's, at least one
   */
  copyTokens(tokens: ArrayLike<number>, argument = 'ids'): Uint32Array {
    this.#check()
    const { vocabSize } = this.config
    const length = checkList(argument, tokens, 'at least one id')
    if (length === 0) throw new ArgumentError(argument, 'at least one id', 'none')
    const read = (i: number): number => {
      const token = tokens[i]
      if (Number.isInteger(token) && token >= 0 && token < vocabSize) return token
      throw new ArgumentError(`${argument}[${i}]`, `an id in [0, ${vocabSize})`, describe(token))
    }
    // before there is memory for them: an object may claim any length
    for (let i = 0; i < length; i++) read(i)
    const copy = newArray(Uint32Array, length)
    for (let i = 0; i < length; i++) copy[i] = read(i)
    return copy
  }

  #check(): void {
    if (this.#disposed) throw new DisposedError('the model')
  }

  /** Runs a job of a sequence of its own. */
  async #alone<Result>(
    capacity: number,
    makeJob: (sequence: Sequence) => Job<Result>,
  ): Promise<Result> {
    using sequence = this.beginAlone(capacity)
    return await this.run(makeJob(sequence))
  }
}

/** Throws an ArgumentError unless it is a Model. */
export function checkModel(model: unknown, argument = 'model'): asserts model is Model {
  if (!(model instanceof Model)) throw new ArgumentError(argument, 'a Model', describe(model))
}

import {
  ArgumentError,
  checkList,
  DisposedError,
  describe,
  OutOfMemoryError,
} from '../../errors.js'
import { type CacheType, PAGE } from '../../layouts/kv-page.js'
import type { Pool } from '../../pool/pool.js'
import { newArray } from '../../tensor.js'
import type { ModelConfig } from '../config/config.js'
import { type Fork, runForks } from './forks.js'
import type { ModelLinear } from './model-linear.js'
import type { Network } from './network.js'
import { maxPagesOf, PagePool, pageBytesOf } from './page.js'
import { PrefixCache } from './prefix-cache.js'
import type { Request } from './request.js'
import { type LogitsOptions, LogitsRequest, ScoreRequest } from './result-request.js'
import { type ModelStats, type QueueLimits, Scheduler } from './scheduler.js'
import { Sequence } from './sequence.js'
import { makeContext, makeSteps, type Step, type StepContext } from './step.js'
import { type LinearTrace, type TracedWindow, trace } from './trace.js'
import { mostOutputs } from './workspace.js'

/** What a decoder is made of. */
export interface DecoderParts {
  readonly pool: Pool
  readonly network: Network
  /** How keys and values are kept. */
  readonly cacheType: CacheType
  /** The most tokens of one sequence. */
  readonly maxContext: number
  /** The KV cache's budget; at least one sequence of {@link maxContext} tokens fits, whatever it says. */
  readonly kvBytes: number
  /** Whether prompts may share what earlier ones have computed. */
  readonly prefixCache: boolean
  readonly limits: QueueLimits
}

/** A network, the KV cache of its sequences, and the scheduler that runs requests through it. */
export class Decoder {
  readonly pool: Pool
  readonly config: ModelConfig
  readonly maxContext: number
  readonly #parts: DecoderParts
  readonly #steps: readonly Step[]
  readonly #scheduler: Scheduler
  readonly #prefixes: PrefixCache
  readonly #pageBytes: number
  #isDisposed = false

  /** @param model as diagnostics name it */
  constructor(parts: DecoderParts, model: object) {
    const { pool, network, cacheType, maxContext, kvBytes } = parts
    this.pool = pool
    this.config = network.config
    this.maxContext = maxContext
    this.#parts = parts
    this.#steps = makeSteps(pool, network, cacheType, maxContext)
    this.#pageBytes = pageBytesOf(network.config, cacheType)
    const maxPages = maxPagesOf(maxContext, kvBytes, this.#pageBytes)
    const pages = new PagePool(pool, this.#pageBytes, maxPages)
    this.#prefixes = new PrefixCache(parts.prefixCache)
    this.#scheduler = new Scheduler({
      model,
      pool,
      steps: this.#steps,
      pages,
      prefixes: this.#prefixes,
      limits: parts.limits,
    })
  }

  /** Every Linear, by name. */
  get linears(): ReadonlyMap<string, ModelLinear> {
    return this.#parts.network.linears
  }

  get network(): Network {
    return this.#parts.network
  }

  get cacheType(): CacheType {
    return this.#parts.cacheType
  }

  get stats(): ModelStats {
    return this.#scheduler.stats
  }

  get limits(): QueueLimits {
    return this.#scheduler.limits
  }

  set limits(limits: QueueLimits) {
    this.#scheduler.limits = limits
  }

  /** Keys and values of one token, bytes. */
  get cacheBytes(): number {
    return this.#pageBytes / PAGE
  }

  /** Tokens of a window that {@link trace} takes, at most. */
  get mostTraced(): number {
    return Math.min(this.maxContext, mostOutputs(this.config))
  }

  /** Runs a request to its end. */
  submit(request: Request): void {
    if (this.#isDisposed) request.fail(new DisposedError('the model'))
    this.#scheduler.submit(request)
  }

  /** Goes on with requests whose consumers have made room. */
  wake(): void {
    this.#scheduler.wake()
  }

  /** The sum of the NLLs of all tokens but the first, nats. */
  async score(tokens: Uint32Array, signal?: AbortSignal): Promise<number> {
    const request = new ScoreRequest(tokens, signal)
    this.submit(request)
    return await request.result
  }

  /** The logits of tokens from `from` on, float32 [tokens.length - from, vocabSize]. */
  async logits(tokens: Uint32Array, options: LogitsOptions): Promise<Float32Array> {
    const request = new LogitsRequest(tokens, this.config.vocabSize, options)
    this.submit(request)
    return await request.result
  }

  /** Runs windows of tokens through, and shows every Linear at work. */
  async trace(
    windows: readonly Uint32Array[],
    visit: (linear: LinearTrace) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#withWindows(windows, (context, traced) => trace(context, traced, visit, signal))
  }

  /** Runs tokens through block by block, at most {@link mostTraced}, and shows where they could go on otherwise. */
  async runForks(
    tokens: Uint32Array,
    visit: (fork: Fork) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#withWindows([tokens], (context, [window]) =>
      runForks(context, window, visit, signal),
    )
  }

  /** Runs with memory of its own, beside the KV cache, for as long as this takes. */
  async #withWindows(
    windows: readonly Uint32Array[],
    run: (context: StepContext, traced: readonly TracedWindow[]) => Promise<void>,
  ): Promise<void> {
    this.check()
    const { pool, network, cacheType } = this.#parts
    const longest = Math.max(...windows.map(({ length }) => length))
    const context = makeContext(pool, network, cacheType, longest)
    const pages = new PagePool(pool, this.#pageBytes, Infinity)
    const sequences = windows.map((tokens) => new Sequence(pool, pages, [...tokens], tokens.length))
    try {
      for (const [i, { length }] of windows.entries()) {
        if (!sequences[i].reserve(length)) throw new OutOfMemoryError(this.#pageBytes, undefined)
      }
      await run(
        context,
        windows.map((tokens, i) => ({ sequence: sequences[i], tokens })),
      )
    } finally {
      for (const sequence of sequences) sequence.release()
    }
  }

  /**
   * Puts Linears in place of those of the same names and disposes of the old ones. Not while anything is being
   * generated.
   */
  setLinears(linears: ReadonlyMap<string, ModelLinear>): void {
    for (const [name, linear] of linears) this.exchangeLinear(name, linear).dispose()
  }

  /** Puts a Linear in place of the one of the same name, which it returns. Not while anything is being generated. */
  exchangeLinear(name: string, linear: ModelLinear): ModelLinear {
    const mine = this.#parts.network.linears
    const old = mine.get(name) as ModelLinear
    mine.set(name, linear)
    this.#prefixes.clear()
    for (const step of this.#steps) step.recompile()
    return old
  }

  /**
   * A copy of tokens, for the caller may change theirs as soon as the call has returned.
   *
   * @param argument what the caller knows them by
   * @throws ArgumentError unless they are some of this model's, at least one; DisposedError
   */
  copyTokens(tokens: ArrayLike<number>, argument = 'tokens'): Uint32Array {
    this.check()
    const { vocabSize } = this.config
    const length = checkList(argument, tokens, 'at least one token id')
    if (length === 0) throw new ArgumentError(argument, 'at least one token id', 'none')
    const read = (i: number): number => {
      const token = tokens[i]
      if (Number.isInteger(token) && token >= 0 && token < vocabSize) return token
      const expected = `a token id in [0, ${vocabSize})`
      throw new ArgumentError(`${argument}[${i}]`, expected, describe(token))
    }
    // before there is memory for them: an object may claim any length
    for (let i = 0; i < length; i++) read(i)
    const copy = newArray(Uint32Array, length)
    for (let i = 0; i < length; i++) copy[i] = read(i)
    return copy
  }

  /** @throws DisposedError */
  check(): void {
    if (this.#isDisposed) throw new DisposedError('the model')
  }

  /** About how much memory {@link dispose} releases, bytes. */
  get memoryBytes(): number {
    const { embedding } = this.#parts.network
    let bytes = embedding.byteLength + this.stats.kvBytes + this.#steps[0].sharedBytes
    // at least a byte for each weight
    for (const { inFeatures, outFeatures } of this.linears.values())
      bytes += inFeatures * outFeatures
    return bytes
  }

  /** Releases all weights. Requests fail with a DisposedError. */
  dispose(): void {
    this.#isDisposed = true
    this.#scheduler.end(new DisposedError('the model'))
    this.#prefixes.clear()
    for (const step of this.#steps) step.recompile()
    for (const linear of this.linears.values()) linear.dispose()
  }
}

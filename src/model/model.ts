import { ArgumentError, DisposedError, describe } from '../errors.js'
import type { Pool } from '../pool/pool.js'
import type { ModelConfig } from './config.js'
import type { Decoder } from './decoder.js'
import {
  type GenerateIdsOptions,
  type GenerateOptions,
  generateIds,
  generateText,
} from './generate.js'
import { KvCache } from './kv-cache.js'
import { meanNll, type NllOptions } from './nll.js'
import type { Projection } from './projection.js'
import type { Timing } from './timing.js'
import type { Tokenizer } from './tokenizer.js'

export interface ModelForwardOptions {
  /** Logits of every id, not of the last one only. */
  allRows?: boolean | undefined
  /** Stops the work; the call rejects with its reason, and the cache stays as it was. */
  signal?: AbortSignal | undefined
}

/** A decoder with its tokenizer, ready to run. `loadModel` makes one. */
export class Model {
  readonly config: ModelConfig
  readonly tokenizer: Tokenizer
  /** Runs its int8 Linears. */
  readonly pool: Pool | null
  /** @internal */
  readonly decoder: Decoder
  readonly #busy = new WeakSet<KvCache>()
  #disposed = false

  constructor(pool: Pool | null, tokenizer: Tokenizer, decoder: Decoder) {
    this.pool = pool
    this.config = decoder.config
    this.tokenizer = tokenizer
    this.decoder = decoder
  }

  /** Where the time of this model's forwards went. */
  get timing(): Timing {
    return this.decoder.timing
  }

  /** Every Linear by name, e.g. `model.layers.0.mlp.up_proj`, and `lm_head`. */
  get projections(): ReadonlyMap<string, Projection> {
    return this.decoder.projections
  }

  /**
   * A cache for one sequence.
   *
   * @param capacity the most ids it can hold, in [1, config.maxPositionEmbeddings]
   */
  createCache(capacity: number): KvCache {
    return new KvCache(this.config, capacity)
  }

  /**
   * Runs ids through the network, behind those that the cache holds.
   *
   * @param ids M ids in [0, vocabSize), at least one
   * @param cache of this model, not in use by another forward, with room for M more
   * @returns logits, float32 [1, vocabSize] of the last id, or [M, vocabSize]
   * @throws ArgumentError, DisposedError, the signal's reason, and whatever the pool throws
   */
  async forward(
    ids: ArrayLike<number>,
    cache: KvCache,
    { allRows = false, signal }: ModelForwardOptions = {},
  ): Promise<Float32Array> {
    this.checkIds(ids)
    this.#checkCache(cache, ids.length)
    signal?.throwIfAborted()
    this.#busy.add(cache)
    try {
      return await this.decoder.forward(ids, cache, allRows, signal)
    } finally {
      this.#busy.delete(cache)
    }
  }

  /**
   * Continues a prompt. The text streams as it comes, in pieces that never split a code point, and
   * ends where the model ends it, before a stop string, or with the context.
   *
   * @param prompt text, or the ids of one
   * @throws ArgumentError at once; later what {@link forward} throws
   */
  generate(
    prompt: string | ArrayLike<number>,
    options: GenerateOptions = {},
  ): AsyncGenerator<string, void, void> {
    return generateText(this, prompt, options)
  }

  /** {@link generate}, but ids in and ids out. */
  generateIds(
    ids: ArrayLike<number>,
    options: GenerateIdsOptions = {},
  ): AsyncGenerator<number, void, void> {
    return generateIds(this, ids, options)
  }

  /**
   * Mean negative log likelihood of `ids`, nats per predicted id; exp() of it is the perplexity.
   *
   * @param ids at least two; windows of them are independent texts
   * @throws ArgumentError, and what {@link forward} throws
   */
  async nll(ids: ArrayLike<number>, options: NllOptions = {}): Promise<number> {
    return await meanNll(this, ids, options)
  }

  /**
   * Puts Linears in place of those of the same names and disposes of the old ones. Not while a
   * forward runs.
   */
  replaceProjections(projections: ReadonlyMap<string, Projection>): void {
    for (const [name, projection] of projections) {
      this.decoder.projections.get(name)?.dispose()
      this.decoder.projections.set(name, projection)
    }
  }

  /** Lets go of the weights of all Linears. Calls after that throw a DisposedError. */
  dispose(): void {
    this.#disposed = true
    for (const projection of this.decoder.projections.values()) projection.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** @internal Throws an ArgumentError unless `ids` are what {@link forward} takes. */
  checkIds(ids: ArrayLike<number>): void {
    if (this.#disposed) throw new DisposedError('the model')
    if (!(ids?.length > 0)) throw new ArgumentError('ids', 'at least one id', describe(ids))
    const { vocabSize } = this.config
    for (let i = 0; i < ids.length; i++) {
      if (!Number.isInteger(ids[i]) || ids[i] < 0 || ids[i] >= vocabSize) {
        throw new ArgumentError(`ids[${i}]`, `an id in [0, ${vocabSize})`, describe(ids[i]))
      }
    }
  }

  #checkCache(cache: KvCache, count: number): void {
    if (cache.config !== this.config) {
      throw new ArgumentError('cache', 'one of this model', 'one of another')
    }
    if (this.#busy.has(cache)) {
      throw new ArgumentError('cache', 'one that no other forward uses', 'one in use')
    }
    if (count > cache.capacity - cache.length) {
      throw new ArgumentError(
        'ids',
        `at most ${cache.capacity - cache.length}, for which the cache has room`,
        `${count}`,
      )
    }
  }
}

import { ArgumentError, NoTokenError, NotANumberError } from '../../errors.js'
import {
  type LogProbs,
  type MaskOptions,
  type SampleOptions,
  SampleOutcome,
} from '../../ops/sample-rows.js'
import type { OutputUse } from './batch.js'
import { type FinishReason, type Output, Request } from './request.js'

/**
 * Changes logits in place before a token is sampled from them, and before it returns: it may not be async.
 *
 * @param logits float32 [vocabSize] of the next token
 * @param tokens all tokens so far, the prompt's among them
 */
export type LogitsProcessor = (logits: Float32Array, tokens: readonly number[]) => void

/** Says how each token is sampled. */
export interface Sampler {
  /** How to sample the token at a position, given the tokens before it. */
  at(position: number): SampleOptions
  /** Whether samples do not depend on the tokens that were sampled before. */
  readonly isForeseeable: boolean
  /** The text has come to hold a token. */
  accept(token: number): void
}

/** Says which tokens may be sampled: the first is known beforehand, others are found out while steps run, maybe late. */
export interface Constraint {
  /** Whether the mask behind all tokens so far is there. */
  readonly isReady: boolean
  /** The mask of the token at a position, which may not be there yet. */
  at(position: number): MaskOptions
  /** The text has come to hold a token. */
  accept(token: number): void
  /** Has the scheduler woken once the mask behind all tokens so far is there. */
  awaitMask(): void
  /** Nothing more is sampled. */
  close(): void
}

/** Takes the tokens of a request, in order. */
export interface TokenSink {
  /** How many tokens it takes before its consumer has read some. */
  readonly room: number
  /** Returns true where the text ends with it. */
  push(token: number, logProbs: LogProbs | undefined): boolean
  /** The same of a token that its consumer has. */
  replay(token: number): boolean
  /** There are no more tokens. */
  end(reason: FinishReason): void
  /** There are no more tokens, for an error, or what a signal was aborted with. */
  fail(error: unknown, reason: FinishReason | undefined): void
}

export interface GenerateSettings {
  readonly sampler: Sampler
  readonly sink: TokenSink
  readonly processors: readonly LogitsProcessor[]
  readonly constraint?: Constraint | undefined
  /** At least one. */
  readonly maxTokens: number
  /** The most tokens of the whole sequence. */
  readonly maxContext: number
  /** Tokens that end the text. */
  readonly endTokens: readonly number[]
  readonly signal: AbortSignal | undefined
  readonly group?: object | undefined
}

/** Continues a prompt token by token. */
export class GenerateRequest extends Request {
  readonly #settings: GenerateSettings
  /** Sampled from logits that were processed, and of which position. */
  #processed: number | undefined
  /** A row came to nothing, for the mask was not there. */
  #isLate = false

  /** @param prompt at least one token, and fewer than the context has */
  constructor(prompt: ArrayLike<number> & Iterable<number>, settings: GenerateSettings) {
    const { maxTokens, maxContext, signal, group } = settings
    super(prompt, Math.min(prompt.length + maxTokens, maxContext), signal, group)
    this.#settings = settings
    if (signal?.aborted) this.abort(signal.reason)
  }

  get firstOutput(): number {
    return this.tokens.length - 1
  }

  override get readsLogits(): boolean {
    return this.#settings.processors.length > 0
  }

  override get hasRoom(): boolean {
    return this.#settings.sink.room > 0 && !this.#lacksMask
  }

  /** Processors see logits once, so their rows wait for the mask; others wait where it was late. */
  get #lacksMask(): boolean {
    const { constraint } = this.#settings
    return constraint !== undefined && (this.#isLate || this.readsLogits) && !constraint.isReady
  }

  override get canSpeculate(): boolean {
    const { sampler, sink } = this.#settings
    const isWanted = this.tokens.length + 1 < this.capacity && sink.room > 1
    return isWanted && sampler.isForeseeable && !this.readsLogits && !this.#lacksMask
  }

  useAt(position: number): OutputUse | undefined {
    if (position < this.firstOutput) return undefined
    if (this.readsLogits) return { action: 'nothing' }
    return this.#sampleAt(position + 1)
  }

  take(position: number, output: Output): OutputUse | 'again' | undefined {
    if (this.readsLogits && this.#processed !== position) {
      this.#process(output.logits)
      this.#processed = position
      return this.#sampleAt(position + 1)
    }
    const { samples, index } = output
    const { outcome, id } = samples.sampled(index)
    if (outcome === SampleOutcome.late) return this.#waitForMask()
    if (outcome === SampleOutcome.masked) throw new NoTokenError(position + 1)
    if (outcome !== SampleOutcome.done) throw new NotANumberError('logits', position + 1)
    this.#accept(id, samples.logProbs(index))
    return undefined
  }

  /** Takes tokens that an earlier request with these settings has sampled. Before it is submitted. */
  replay(tokens: ArrayLike<number>): void {
    const { sink } = this.#settings
    for (let i = 0; i < tokens.length && !this.hasEnded; i++) {
      this.replayed++
      this.#add(tokens[i], () => sink.replay(tokens[i]))
    }
  }

  abort(reason: unknown): void {
    if (this.end('aborted')) this.#settings.sink.fail(reason, 'aborted')
  }

  fail(error: unknown): void {
    if (this.end(undefined, error)) this.#settings.sink.fail(error, undefined)
  }

  protected override end(reason: FinishReason | undefined, error?: unknown): boolean {
    const hasEnded = super.end(reason, error)
    if (hasEnded) this.#settings.constraint?.close()
    return hasEnded
  }

  #sampleAt(position: number): OutputUse {
    const { sampler, constraint } = this.#settings
    const options = sampler.at(position)
    const mask = constraint?.at(position)
    return { action: 'sample', options: mask === undefined ? options : { ...options, mask } }
  }

  #waitForMask(): 'again' {
    this.#isLate = true
    this.#processed = undefined
    this.#settings.constraint?.awaitMask()
    return 'again'
  }

  #process(logits: Float32Array): void {
    const tokens = [...this.tokens]
    for (const [i, process] of this.#settings.processors.entries()) {
      refuseThenable(i, process(logits, tokens))
    }
  }

  #accept(token: number, logProbs: LogProbs | undefined): void {
    if (this.hasEnded) return // by a processor
    if (this.firstTokenAt === undefined) {
      this.firstTokenAt = performance.now()
      this.onFirstToken?.()
    }
    this.#add(token, () => this.#settings.sink.push(token, logProbs))
  }

  /** @param give hands the token on; returns whether the text ends with it */
  #add(token: number, give: () => boolean): void {
    const { sampler, constraint, maxTokens, endTokens } = this.#settings
    this.tokens.push(token)
    sampler.accept(token)
    if (endTokens.includes(token) || give()) this.#finish('stop')
    else if (this.completionTokens === maxTokens) this.#finish('length')
    else if (this.tokens.length === this.capacity) this.#finish('context')
    else if (constraint !== undefined) this.#constrain(constraint, token)
  }

  #constrain(constraint: Constraint, token: number): void {
    this.#isLate = false
    constraint.accept(token)
    if (this.readsLogits) constraint.awaitMask()
  }

  #finish(reason: FinishReason): void {
    if (this.end(reason)) this.#settings.sink.end(reason)
  }
}

/** What an async processor changed would come after the sample. */
function refuseThenable(i: number, returned: unknown): void {
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== 'function') return
  // its rejection is nobody else's to see
  Promise.resolve(returned).catch(() => {})
  const expected = 'functions that change logits before they return'
  throw new ArgumentError('processors', expected, `a promise from the one at index ${i}`)
}

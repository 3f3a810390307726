import { whenAborted } from '../../abort.js'
import type { SampleRows } from '../../ops/sample-rows.js'
import type { OutputUse, RowUse } from './batch.js'
import type { Sequence } from './sequence.js'

/**
 * Why a request ended: it has all that was asked for, or came to a token that ends a text or to a stop string; it has
 * `maxTokens` tokens; it has filled the model's context; or its consumer wanted no more.
 */
export type FinishReason = 'stop' | 'length' | 'context' | 'aborted'

/** What a step has made of one position of a request: of its logits, or of its hidden state. */
export interface Output {
  readonly samples: SampleRows
  /** Its number among the step's outputs. */
  readonly index: number
  /** float32 [vocabSize], good until the next step; sampling overwrites them. */
  readonly logits: Float32Array
  /** float32 [hiddenSize], good until the request has taken it. */
  readonly hidden: Float32Array
}

/**
 * What a caller asked of a decoder: tokens, and what is wanted at their positions. The logits at position i predict
 * token i + 1.
 *
 * The scheduler owns it from {@link Scheduler.submit} to its end: it waits until there are pages for its tokens, runs,
 * and may be preempted, which makes it wait again and compute its tokens anew.
 */
export abstract class Request {
  /** The prompt's tokens, then those that were sampled. */
  readonly tokens: number[]
  readonly promptTokens: number
  /** The most tokens that it may come to have. */
  readonly capacity: number
  /** The requests that belong together: where one is taken, the others are. By default it is one by itself. */
  readonly group: object
  /** When it was made, milliseconds. */
  readonly madeAt = performance.now()
  /** When it was first admitted, and when its first token was sampled, milliseconds. */
  admittedAt: number | undefined
  firstTokenAt: number | undefined
  status: 'waiting' | 'running' | 'ended' = 'waiting'
  /** While it runs. */
  sequence: Sequence | undefined
  /** Tokens behind the prompt that an earlier request had sampled. */
  replayed = 0
  /** Rows of it in steps that have not ended, a speculative one among them. */
  inFlight = 0
  /** Tokens whose keys and values were there when it was first admitted; undefined before. */
  cachedTokens: number | undefined
  /** Why it ended; undefined where it has not, and where `error` says why. */
  finishReason: FinishReason | undefined
  error: unknown
  /** Called once, when it is first admitted. */
  onAdmit: (() => void) | undefined
  /** Called once, when its first token was sampled. */
  onFirstToken: (() => void) | undefined
  /** Called once, when it ends. */
  onEnd: (() => void) | undefined
  readonly #stopListening: () => void

  constructor(
    tokens: Iterable<number>,
    capacity: number,
    signal: AbortSignal | undefined,
    group?: object | undefined,
  ) {
    this.tokens = [...tokens]
    this.group = group ?? this
    this.promptTokens = this.tokens.length
    this.capacity = capacity
    this.#stopListening = whenAborted(signal, (reason) => this.abort(reason))
  }

  /** Tokens that have keys and values. */
  get computed(): number {
    return this.sequence?.computed ?? 0
  }

  /** The first position that is in no step yet. */
  get next(): number {
    return this.computed + this.inFlight
  }

  /** Known tokens that are in no step yet. */
  get pending(): number {
    return this.tokens.length - this.next
  }

  /** Tokens that were sampled, one that ends the text among them. */
  get completionTokens(): number {
    return this.tokens.length - this.promptTokens
  }

  /** Those that this request has sampled. */
  get sampledTokens(): number {
    return this.completionTokens - this.replayed
  }

  get hasEnded(): boolean {
    return this.status === 'ended'
  }

  /** Whether it looks at logits, which the next step overwrites. */
  get readsLogits(): boolean {
    return false
  }

  /** Whether later requests may share what it has computed. */
  get keepsPrefix(): boolean {
    return true
  }

  /** The first position that something is wanted of: what comes before may be taken from another sequence. */
  abstract get firstOutput(): number

  /** Whether it can take the outcome of one more row. Others are not to wait for a consumer that does not read. */
  get hasRoom(): boolean {
    return true
  }

  /** Whether a row may be computed for the token that a step is about to sample. */
  get canSpeculate(): boolean {
    return false
  }

  /** What is wanted of a position; undefined where nothing is. */
  abstract useAt(position: number): RowUse | undefined

  /**
   * Takes the outcome of a position.
   *
   * @returns what to do with its logits besides, if anything; or that the row is to be computed again
   */
  abstract take(position: number, output: Output): OutputUse | 'again' | undefined

  /** All tokens are computed, and every outcome was taken. */
  complete(): void {}

  /** The consumer wants no more of it. */
  abstract abort(reason: unknown): void

  abstract fail(error: unknown): void

  /** Marks it as ended. False where it was. */
  protected end(reason: FinishReason | undefined, error?: unknown): boolean {
    if (this.hasEnded) return false
    this.status = 'ended'
    this.finishReason = reason
    this.error = error
    this.#stopListening()
    this.onEnd?.()
    return true
  }
}

import { AbortableDeferred } from '../../abort.js'
import { NotANumberError } from '../../errors.js'
import { newArray } from '../../tensor.js'
import type { OutputUse, RowUse } from './batch.js'
import { type Output, Request } from './request.js'

/** A request that comes to one result. */
abstract class ResultRequest<Result> extends Request {
  readonly #deferred = new AbortableDeferred<Result>()

  constructor(
    tokens: Iterable<number>,
    capacity: number,
    signal: AbortSignal | undefined,
    group?: object,
  ) {
    super(tokens, capacity, signal, group)
    if (signal?.aborted) this.abort(signal.reason)
  }

  get result(): Promise<Result> {
    return this.#deferred.promise
  }

  protected abstract finish(): Result

  override complete(): void {
    if (this.end('stop')) this.#deferred.resolve(this.finish())
  }

  abort(reason: unknown): void {
    if (this.end('aborted')) this.#deferred.reject(reason)
  }

  fail(error: unknown): void {
    if (this.end(undefined, error)) this.#deferred.reject(error)
  }
}

/** How likely a model finds every token but the first, given those before it: the sum of the NLLs, nats. */
export class ScoreRequest extends ResultRequest<number> {
  readonly #targets: Uint32Array
  #scored = 0
  #sum = 0

  /** @param tokens at least two */
  constructor(tokens: Uint32Array, signal?: AbortSignal) {
    super(tokens.subarray(0, -1), tokens.length - 1, signal)
    this.#targets = tokens
  }

  override get keepsPrefix(): boolean {
    return false
  }

  get firstOutput(): number {
    return this.#scored
  }

  useAt(position: number): OutputUse | undefined {
    if (position < this.#scored) return undefined
    return { action: 'score', id: this.#targets[position + 1] }
  }

  take(position: number, { samples, index }: Output): undefined {
    const { logit, maximum, sum } = samples.scored(index)
    const nll = maximum + Math.log(sum) - logit
    if (Number.isNaN(nll)) throw new NotANumberError('logits', position)
    this.#sum += nll
    this.#scored = position + 1
  }

  protected finish(): number {
    return this.#sum
  }
}

export interface LogitsOptions {
  /** The first token whose logits are wanted; 0 by default. */
  from?: number
  /** Whether a request for more tokens of the same sequence will follow. False by default. */
  goesOn?: boolean
  signal?: AbortSignal | undefined
}

/** The logits of all tokens from one on. */
export class LogitsRequest extends ResultRequest<Float32Array> {
  readonly #from: number
  readonly #goesOn: boolean
  readonly #logits: Float32Array
  readonly #vocabSize: number
  #taken: number

  /** @throws OutOfMemoryError */
  constructor(tokens: Uint32Array, vocabSize: number, options: LogitsOptions) {
    const { from = 0, goesOn = false, signal } = options
    super(tokens, tokens.length, signal)
    this.#from = this.#taken = from
    this.#goesOn = goesOn
    this.#logits = newArray(Float32Array, (tokens.length - from) * vocabSize)
    this.#vocabSize = vocabSize
  }

  override get readsLogits(): boolean {
    return true
  }

  override get keepsPrefix(): boolean {
    return this.#goesOn
  }

  get firstOutput(): number {
    return this.#taken
  }

  useAt(position: number): OutputUse | undefined {
    return position < this.#taken ? undefined : { action: 'nothing' }
  }

  take(position: number, { logits }: Output): undefined {
    this.#logits.set(logits, (position - this.#from) * this.#vocabSize)
    this.#taken = position + 1
  }

  protected finish(): Float32Array {
    return this.#logits
  }
}

/** The hidden state of the last token, behind the final norm: what the head would make its logits of. */
export class HiddenStateRequest extends ResultRequest<Float32Array> {
  #state = new Float32Array(0)

  /** @param tokens at least one */
  constructor(tokens: Uint32Array, signal?: AbortSignal, group?: object) {
    super(tokens, tokens.length, signal, group)
  }

  get firstOutput(): number {
    return this.tokens.length - 1
  }

  useAt(position: number): RowUse | undefined {
    return position < this.firstOutput ? undefined : { action: 'hidden' }
  }

  take(position: number, { hidden }: Output): undefined {
    if (hidden.some(Number.isNaN)) throw new NotANumberError('hidden states', position)
    this.#state = hidden.slice()
  }

  protected finish(): Float32Array {
    return this.#state
  }
}

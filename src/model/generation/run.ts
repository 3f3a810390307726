import { AbortableDeferred } from '../../abort.js'
import { DisposedError } from '../../errors.js'
import type { LogProbs } from '../../ops/sample-rows.js'
import type { GenerateRequest, TokenSink } from '../decoder/generate-request.js'
import type { FinishReason } from '../decoder/request.js'
import type { StopFinder } from '../text/stop-finder.js'
import type { TextStream } from '../text/text-stream.js'
import { Channel } from './channel.js'

/** Tokens that are sampled ahead of a consumer who does not read them, at most. */
const TOKENS_AHEAD = 16

/** How likely tokens were: natural logarithms of probabilities, before any sampling parameter. */
export interface TokenLogprobs {
  readonly token: number
  readonly logprob: number
  /** The likeliest tokens, the likeliest first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[]
}

/** What a step has added to a text. */
export interface GenerationChunk {
  /** Whole code points, maybe none: a token may be a part of one, or of what may become a stop string. */
  readonly text: string
  readonly tokens: readonly number[]
  /** Of each of the tokens, where they were asked for. */
  readonly logprobs?: readonly TokenLogprobs[] | undefined
}

export interface Usage {
  readonly promptTokens: number
  /** Those of the prompt that an earlier request had computed. */
  readonly cachedTokens: number
  /** Tokens that were sampled, one that ends the text among them. */
  readonly completionTokens: number
}

/** How long it took, milliseconds from when the tokens of its prompt were known. */
export interface Timing {
  /** Until it was admitted; undefined if it was not. */
  readonly queueMillis: number | undefined
  /** Until its first token was sampled; undefined if none was. */
  readonly firstTokenMillis: number | undefined
  readonly millis: number
}

/** What a text has come to. */
export interface GenerationResult {
  readonly text: string
  readonly tokens: readonly number[]
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timing: Timing
  /** Of each of the tokens, where they were asked for. */
  readonly logprobs?: readonly TokenLogprobs[] | undefined
}

/** Turns tokens into text, which may end at a stop string. */
export interface Detokenizer {
  readonly stream: TextStream
  readonly stops: StopFinder
}

/** Starts the work: makes the request that gives its tokens to the run, and attaches it before it is submitted. */
export type Start = (run: Run) => Promise<void>

/** The generation of one text, from its start to its result. It goes on whether somebody reads it or not. */
export class Run implements TokenSink {
  readonly #start: Start
  readonly #signal: AbortSignal | undefined
  readonly #channel: Channel<GenerationChunk>
  /** Settled once the text has ended. */
  readonly #result = new AbortableDeferred<GenerationResult>()
  #hasStarted = false
  #request: GenerateRequest | undefined
  #detokenizer: Detokenizer | undefined
  #text = ''
  readonly #tokens: number[] = []
  readonly #logprobs: TokenLogprobs[] = []

  constructor(start: Start, wake: () => void, signal: AbortSignal | undefined) {
    this.#start = start
    this.#signal = signal
    this.#channel = new Channel(TOKENS_AHEAD, wake)
    this.#result.promise.catch(() => {}) // readers get it, too
  }

  /** The next chunk; undefined where there are no more. */
  read(): Promise<GenerationChunk | undefined> {
    this.#begin()
    return this.#channel.read()
  }

  /** Goes on to the end, whether chunks are read or not. */
  finish(): Promise<GenerationResult> {
    this.#channel.unbound()
    this.#begin()
    return this.#result.promise
  }

  cancel(): void {
    this.#hasStarted = true
    this.#channel.clear()
    this.#settle('aborted')
    this.#channel.end()
    this.#request?.abort(undefined)
  }

  /** What gives it tokens, and makes text of them. */
  attach(request: GenerateRequest, detokenizer: Detokenizer | undefined): void {
    this.#request = request
    this.#detokenizer = detokenizer
    if (this.#result.isSettled) request.abort(undefined)
  }

  get room(): number {
    return this.#channel.room
  }

  replay(token: number): boolean {
    return this.#take(token).isLast
  }

  push(token: number, logProbs: LogProbs | undefined): boolean {
    const { text, isLast } = this.#take(token)
    const logprobs = logProbs && [toLogprobs(token, logProbs)]
    if (logprobs !== undefined) this.#logprobs.push(...logprobs)
    this.#channel.push({ text, tokens: [token], logprobs })
    return isLast
  }

  end(reason: FinishReason): void {
    const { stream, stops } = this.#detokenizer ?? {}
    const text =
      stops === undefined || stops.found ? '' : stops.push(stream?.end() ?? '') + stops.end()
    this.#text += text
    if (text !== '') this.#channel.push({ text, tokens: [] })
    this.#settle(reason)
    this.#channel.end()
  }

  fail(error: unknown, reason: FinishReason | undefined): void {
    if (this.#result.isSettled) return
    if (reason === 'aborted' || error instanceof DisposedError) this.#channel.clear()
    if (reason === undefined) this.#result.reject(error)
    else this.#settle(reason)
    this.#channel.fail(error)
  }

  /** Adds a token. Tells the text that is certain by it, and whether the text ends there. */
  #take(token: number): { text: string; isLast: boolean } {
    const { stream, stops } = this.#detokenizer ?? {}
    const text = stops === undefined ? '' : stops.push(stream?.push(token) ?? '')
    this.#tokens.push(token)
    this.#text += text
    return { text, isLast: stops?.found ?? false }
  }

  #begin(): void {
    if (this.#hasStarted) return
    this.#hasStarted = true
    this.#start(this).catch((error) => {
      this.fail(error, this.#signal?.aborted ? 'aborted' : undefined)
    })
  }

  #settle(finishReason: FinishReason): void {
    const usage = {
      promptTokens: this.#request?.promptTokens ?? 0,
      cachedTokens: this.#request?.cachedTokens ?? 0,
      completionTokens: this.#request?.completionTokens ?? 0,
    }
    this.#result.resolve({
      text: this.#text,
      tokens: this.#tokens,
      finishReason,
      usage,
      timing: timingOf(this.#request),
      logprobs: this.#logprobs.length === 0 ? undefined : this.#logprobs,
    })
  }
}

/** @param request undefined where it never came to one */
function timingOf(request: GenerateRequest | undefined): Timing {
  if (request === undefined) {
    return { queueMillis: undefined, firstTokenMillis: undefined, millis: 0 }
  }
  const { madeAt, admittedAt, firstTokenAt } = request
  const since = (at: number | undefined) => (at === undefined ? undefined : at - madeAt)
  return {
    queueMillis: since(admittedAt),
    firstTokenMillis: since(firstTokenAt),
    millis: performance.now() - madeAt,
  }
}

function toLogprobs(token: number, { logProb, top }: LogProbs): TokenLogprobs {
  return {
    token,
    logprob: logProb,
    top: top.map(({ id, logProb }) => ({ token: id, logprob: logProb })),
  }
}

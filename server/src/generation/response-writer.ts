import type { Tokenizer } from 'dotpool'
import type { ApiError } from '../errors.js'
import { nowSeconds } from '../ids.js'
import type { UsageBody } from '../schemas/common.js'
import type { ResponseEvent, ResponseObject } from '../schemas/responses.js'
import type { AnswerReader } from './answer-reader.js'
import type { ChoicePart } from './choices.js'
import type { AnswerWriter } from './completion-request.js'
import { toTokenLogprobs } from './logprobs.js'
import type { Unnumbered } from './response-items.js'
import { ResponseOutput } from './response-output.js'

export interface ResponseWriterOptions {
  /** The response before the model has begun. */
  readonly response: ResponseObject
  readonly tokenizer: Tokenizer
  readonly reader: AnswerReader
}

/** Writes answers of /v1/responses. Their events tell the end themselves. */
export class ResponseWriter implements AnswerWriter<ResponseEvent, ResponseObject> {
  readonly terminator = undefined
  readonly #options: ResponseWriterOptions
  readonly #output = new ResponseOutput()
  #events = 0
  /** Those of the tags among them. */
  #reasoningTokens = 0
  #isComplete = false

  constructor(options: ResponseWriterOptions) {
    this.#options = options
  }

  chunks(part: ChoicePart): ResponseEvent[] {
    const { response } = this.#options
    const begun: Unnumbered[] = [
      { type: 'response.created', response },
      { type: 'response.in_progress', response },
    ]
    return this.#number([...(this.#events === 0 ? begun : []), ...this.#read(part)])
  }

  end(usage: UsageBody): ResponseEvent[] {
    const type = this.#isComplete ? 'response.completed' : 'response.incomplete'
    return this.#number([{ type, response: this.#finish(usage) }])
  }

  fail({ message, statusCode, code, param }: ApiError): ResponseEvent[] {
    if (this.#events === 0) {
      // no response has begun that could fail
      return this.#number([{ type: 'error', code: code ?? null, message, param: param ?? null }])
    }
    const reason = statusCode === 429 ? 'rate_limit_exceeded' : 'server_error'
    const output = this.#output.items
    const failed = { status: 'failed', error: { code: reason, message }, output } as const
    return this.#number([
      { type: 'response.failed', response: { ...this.#options.response, ...failed } },
    ])
  }

  answer(parts: readonly ChoicePart[], usage: UsageBody): ResponseObject {
    for (const part of parts) this.#read(part)
    return this.#finish(usage)
  }

  #read({ text, tokens, logprobs, result }: ChoicePart): Unnumbered[] {
    const { reader, tokenizer } = this.#options
    const wasThinking = reader.isThinking
    const answer = reader.push(text)
    const thinks = wasThinking || reader.isThinking
    if (thinks) this.#reasoningTokens += tokens.length
    const told = thinks ? [] : toTokenLogprobs(tokenizer, logprobs)
    const events = this.#output.push(answer, told)
    if (result === undefined) return events
    this.#isComplete = result.finishReason === 'stop'
    events.push(...this.#output.push(reader.end(), []))
    return [...events, ...this.#output.end(this.#isComplete ? 'completed' : 'incomplete')]
  }

  #finish(usage: UsageBody): ResponseObject {
    const ended = this.#isComplete
      ? ({ status: 'completed', completed_at: nowSeconds() } as const)
      : ({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } } as const)
    return {
      ...this.#options.response,
      ...ended,
      output: this.#output.items,
      usage: {
        input_tokens: usage.prompt_tokens,
        input_tokens_details: {
          cached_tokens: usage.prompt_tokens_details.cached_tokens,
          // prompts are kept at no cost
          cache_write_tokens: 0,
        },
        output_tokens: usage.completion_tokens,
        output_tokens_details: { reasoning_tokens: this.#reasoningTokens },
        total_tokens: usage.total_tokens,
      },
    }
  }

  #number(events: readonly Unnumbered[]): ResponseEvent[] {
    return events.map((event) => ({ ...event, sequence_number: this.#events++ }))
  }
}

import type { GenerationResult, Tokenizer } from 'dotpool'
import type { ApiError } from '../errors.js'
import type { UsageBody } from '../schemas/common.js'
import type { Completion, CompletionChunk } from '../schemas/completions.js'
import type { ChoicePart } from './choices.js'
import type { AnswerWriter } from './completion-request.js'
import { toCompletionLogprobs } from './logprobs.js'

export interface TextWriterOptions {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly tokenizer: Tokenizer
  readonly logprobs: boolean
  /** Every chunk says that the usage comes at the end. */
  readonly includeUsage: boolean
}

/** Writes answers of /v1/completions. */
export class TextWriter implements AnswerWriter<CompletionChunk, Completion> {
  readonly terminator = '[DONE]'
  readonly #options: TextWriterOptions
  /** How much text each choice's tokens have come to. */
  readonly #offsets = new Map<number, number>()

  constructor(options: TextWriterOptions) {
    this.#options = options
  }

  chunks({ index, text, logprobs, result }: ChoicePart): CompletionChunk[] {
    const finish_reason = result === undefined ? null : toFinishReason(result)
    const told = this.#options.logprobs && logprobs.length > 0
    if (text === '' && finish_reason === null && !told) return []
    const { tokenizer } = this.#options
    const offset = this.#offsets.get(index) ?? 0
    const logprobsBody = told ? toCompletionLogprobs(tokenizer, logprobs, offset) : null
    const length = logprobsBody?.tokens.join('').length ?? 0
    this.#offsets.set(index, offset + length)
    return [this.#chunk([{ index, text, logprobs: logprobsBody, finish_reason }], null)]
  }

  end(usage: UsageBody): CompletionChunk[] {
    return this.#options.includeUsage ? [this.#chunk([], usage)] : []
  }

  fail({ body }: ApiError): object[] {
    return [body]
  }

  answer(parts: readonly ChoicePart[], usage: UsageBody): Completion {
    const { id, created, model, logprobs, tokenizer } = this.#options
    const choices: Completion['choices'] = []
    for (const { index, result } of parts) {
      if (result === undefined) continue
      const told = logprobs ? toCompletionLogprobs(tokenizer, result.logprobs ?? [], 0) : null
      const finish_reason = toFinishReason(result)
      choices[index] = { index, text: result.text, logprobs: told, finish_reason }
    }
    return { id, object: 'text_completion', created, model, choices, usage }
  }

  #chunk(choices: CompletionChunk['choices'], usage: UsageBody | null): CompletionChunk {
    const { id, created, model, includeUsage } = this.#options
    const chunk = { id, object: 'text_completion' as const, created, model, choices }
    return includeUsage ? { ...chunk, usage } : chunk
  }
}

function toFinishReason({ finishReason }: GenerationResult): 'stop' | 'length' {
  return finishReason === 'stop' ? 'stop' : 'length'
}

import type { Tokenizer } from 'dotpool'
import type { ApiError } from '../errors.js'
import type { ChatChunk, ChatCompletion, Delta } from '../schemas/chat.js'
import type { UsageBody } from '../schemas/common.js'
import type { AnswerReader } from './answer-reader.js'
import { ChatChoice, toMessage } from './chat-choice.js'
import type { ChoicePart } from './choices.js'
import type { AnswerWriter } from './completion-request.js'
import { toChatLogprobs } from './logprobs.js'

export interface ChatWriterOptions {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly tokenizer: Tokenizer
  readonly makeReader: () => AnswerReader
  readonly logprobs: boolean
  /** Every chunk says that the usage comes at the end. */
  readonly includeUsage: boolean
}

type ChunkChoice = ChatChunk['choices'][number]

/** Writes answers of /v1/chat/completions. */
export class ChatWriter implements AnswerWriter<ChatChunk, ChatCompletion> {
  readonly terminator = '[DONE]'
  readonly #options: ChatWriterOptions
  readonly #choices = new Map<number, ChatChoice>()

  constructor(options: ChatWriterOptions) {
    this.#options = options
  }

  chunks(part: ChoicePart): ChatChunk[] {
    const choices: Omit<ChunkChoice, 'index'>[] = []
    const plain = { logprobs: null, finish_reason: null }
    if (!this.#choices.has(part.index)) {
      choices.push({ ...plain, delta: { role: 'assistant', content: '' } })
    }
    const { deltas, finish_reason } = this.#read(part)
    choices.push(...deltas.map((delta) => ({ ...plain, delta })))
    if (finish_reason !== null) choices.push({ ...plain, delta: {}, finish_reason })
    if (this.#options.logprobs && part.logprobs.length > 0) {
      // of all tokens, though their text may be held back, or there be none
      if (choices.length === 0) choices.push({ ...plain, delta: {} })
      const { tokenizer } = this.#options
      choices[choices.length - 1].logprobs = toChatLogprobs(tokenizer, part.logprobs)
    }
    return choices.map((choice) => this.#chunk([{ index: part.index, ...choice }], null))
  }

  end(usage: UsageBody): ChatChunk[] {
    return this.#options.includeUsage ? [this.#chunk([], usage)] : []
  }

  fail({ body }: ApiError): object[] {
    return [body]
  }

  answer(parts: readonly ChoicePart[], usage: UsageBody): ChatCompletion {
    const { id, created, model, logprobs, tokenizer } = this.#options
    const choices: ChatCompletion['choices'] = []
    const deltas = new Map<number, Delta[]>()
    for (const part of parts) {
      const { index, result } = part
      const all = deltas.get(index) ?? []
      deltas.set(index, all)
      const { deltas: more, finish_reason } = this.#read(part)
      all.push(...more)
      if (result === undefined || finish_reason === null) continue
      const told = logprobs ? toChatLogprobs(tokenizer, result.logprobs ?? []) : null
      choices[index] = { index, message: toMessage(all), logprobs: told, finish_reason }
    }
    return { id, object: 'chat.completion', created, model, choices, usage }
  }

  #read({ index, text, result }: ChoicePart) {
    const choice = this.#choices.get(index) ?? new ChatChoice(this.#options.makeReader())
    this.#choices.set(index, choice)
    const deltas = choice.push(text)
    if (result === undefined) return { deltas, finish_reason: null }
    deltas.push(...choice.end())
    return { deltas, finish_reason: choice.finish(result) }
  }

  #chunk(choices: ChunkChoice[], usage: UsageBody | null): ChatChunk {
    const { id, created, model, includeUsage } = this.#options
    const chunk = { id, object: 'chat.completion.chunk' as const, created, model, choices }
    return includeUsage ? { ...chunk, usage } : chunk
  }
}

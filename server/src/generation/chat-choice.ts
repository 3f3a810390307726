import type { GenerationResult } from 'dotpool'
import { makeId } from '../ids.js'
import type { ChatFinish, Delta, MessageBody, ToolCallBody } from '../schemas/chat.js'
import type { AnswerEvent, AnswerReader } from './answer-reader.js'

/** Makes deltas of the text of one choice: what the model thinks, says, and calls. */
export class ChatChoice {
  readonly #reader: AnswerReader
  #callCount = 0

  constructor(reader: AnswerReader) {
    this.#reader = reader
  }

  push(text: string): Delta[] {
    return this.#reader.push(text).map((event) => this.#toDelta(event))
  }

  end(): Delta[] {
    return this.#reader.end().map((event) => this.#toDelta(event))
  }

  finish({ finishReason }: GenerationResult): ChatFinish {
    if (finishReason !== 'stop') return 'length'
    return this.#callCount > 0 ? 'tool_calls' : 'stop'
  }

  #toDelta(event: AnswerEvent): Delta {
    if (event.kind === 'reasoning') return { reasoning_content: event.text }
    if (event.kind === 'text') return { content: event.text }
    if (event.kind === 'call') {
      const call = { type: 'function' as const, function: { name: event.name, arguments: '' } }
      return { tool_calls: [{ index: this.#callCount++, id: makeId('call'), ...call }] }
    }
    const index = this.#callCount - 1
    return { tool_calls: [{ index, function: { arguments: event.text } }] }
  }
}

/** Puts deltas together. */
export function toMessage(deltas: readonly Delta[]): MessageBody {
  const content = join(deltas, ({ content }) => content)
  const reasoning = join(deltas, ({ reasoning_content }) => reasoning_content)
  const calls: ToolCallBody[] = []
  for (const call of deltas.flatMap(({ tool_calls = [] }) => tool_calls)) {
    const { index, id = '' } = call
    const { name = '', arguments: more = '' } = call.function
    calls[index] ??= { id, type: 'function', function: { name, arguments: '' } }
    calls[index].function.arguments += more
  }
  return {
    role: 'assistant',
    content: content === '' && calls.length > 0 ? null : content,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

function join(deltas: readonly Delta[], of: (delta: Delta) => string | undefined): string {
  return deltas.map((delta) => of(delta) ?? '').join('')
}

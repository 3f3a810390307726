import { randomUUID } from 'node:crypto'
import type { GenerationResult } from 'dotpool'
import type { ChatFinish, Delta, MessageBody, ToolCallBody } from '../schemas/chat.js'
import type { CallEvent, CallParser } from '../text/call-reader.js'
import { Thinking, type Thought } from '../text/thinking.js'

/** Makes deltas of the text of one choice: what the model thinks, says, and calls. */
export class ChatChoice {
  readonly #thinking: Thinking
  readonly #calls: CallParser | undefined
  #callCount = 0

  /**
   * @param thinks the prompt has begun the thinking
   * @param calls undefined where there is nothing to call
   */
  constructor(thinks: boolean, calls: CallParser | undefined) {
    this.#thinking = new Thinking(thinks)
    this.#calls = calls
  }

  push(text: string): Delta[] {
    return this.#toDeltas(this.#thinking.push(text), false)
  }

  end(): Delta[] {
    return this.#toDeltas(this.#thinking.end(), true)
  }

  finish({ finishReason }: GenerationResult): ChatFinish {
    if (finishReason !== 'stop') return 'length'
    return this.#callCount > 0 ? 'tool_calls' : 'stop'
  }

  #toDeltas({ reasoning, content }: Thought, isLast: boolean): Delta[] {
    const deltas: Delta[] = reasoning === '' ? [] : [{ reasoning_content: reasoning }]
    if (this.#calls === undefined) return content === '' ? deltas : [...deltas, { content }]
    const events = this.#calls.push(content)
    if (isLast) events.push(...this.#calls.end())
    return [...deltas, ...events.map((event) => this.#toDelta(event))]
  }

  #toDelta(event: CallEvent): Delta {
    if (event.kind === 'text') return { content: event.text }
    if (event.kind === 'call') {
      const id = `call_${randomUUID().replaceAll('-', '')}`
      const call = { type: 'function' as const, function: { name: event.name, arguments: '' } }
      return { tool_calls: [{ index: this.#callCount++, id, ...call }] }
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

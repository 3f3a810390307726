import { makeId } from '../ids.js'
import type { ChatLogprobs } from '../schemas/chat.js'
import type {
  CallItem,
  ItemStatus,
  MessageItem,
  OutputItem,
  ReasoningItem,
  ResponseEvent,
} from '../schemas/responses.js'

/** An event before it has its number. */
export type Unnumbered = ResponseEvent extends infer Event
  ? Event extends ResponseEvent
    ? Omit<Event, 'sequence_number'>
    : never
  : never

export type Logprobs = ChatLogprobs['content']

/** An item of a response's output while it grows. Events have copies, for they are written later. */
export abstract class GrowingItem {
  protected readonly place: { item_id: string; output_index: number }
  protected text = ''

  /** @param kind how its id begins; @param index among the items */
  constructor(kind: string, index: number) {
    this.place = { item_id: makeId(kind), output_index: index }
  }

  get id(): string {
    return this.place.item_id
  }

  /** As it is now. */
  abstract item(status: ItemStatus): OutputItem

  begin(): Unnumbered[] {
    const { output_index } = this.place
    const item = this.item('in_progress')
    return [{ type: 'response.output_item.added', output_index, item }]
  }

  /** @param logprobs of the text's tokens, of a message */
  abstract grow(text: string, logprobs: Logprobs): Unnumbered

  end(status: ItemStatus): Unnumbered[] {
    const { output_index } = this.place
    return [{ type: 'response.output_item.done', output_index, item: this.item(status) }]
  }
}

/** What the model says. */
export class GrowingMessage extends GrowingItem {
  readonly #logprobs: Logprobs = []

  constructor(index: number) {
    super('msg', index)
  }

  item(status: ItemStatus): MessageItem {
    const content = status === 'in_progress' ? [] : [this.#part]
    return { id: this.id, type: 'message', status, role: 'assistant', content }
  }

  override begin(): Unnumbered[] {
    const part = this.#part
    return [...super.begin(), { type: 'response.content_part.added', ...this.#at, part }]
  }

  grow(delta: string, logprobs: Logprobs): Unnumbered {
    this.text += delta
    this.#logprobs.push(...logprobs)
    return { type: 'response.output_text.delta', ...this.#at, delta, logprobs }
  }

  override end(status: ItemStatus): Unnumbered[] {
    const part = this.#part
    const { text, logprobs } = part
    return [
      { type: 'response.output_text.done', ...this.#at, text, logprobs },
      { type: 'response.content_part.done', ...this.#at, part },
      ...super.end(status),
    ]
  }

  get #part() {
    const logprobs = [...this.#logprobs]
    return { type: 'output_text' as const, text: this.text, annotations: [], logprobs }
  }

  get #at() {
    return { ...this.place, content_index: 0 }
  }
}

/** What the model thinks. */
export class GrowingReasoning extends GrowingItem {
  constructor(index: number) {
    super('rs', index)
  }

  item(status: ItemStatus): ReasoningItem {
    const content = status === 'in_progress' ? [] : [this.#part]
    return { id: this.id, type: 'reasoning', status, summary: [], content }
  }

  override begin(): Unnumbered[] {
    const part = this.#part
    return [...super.begin(), { type: 'response.content_part.added', ...this.#at, part }]
  }

  grow(delta: string): Unnumbered {
    this.text += delta
    return { type: 'response.reasoning_text.delta', ...this.#at, delta }
  }

  override end(status: ItemStatus): Unnumbered[] {
    return [
      { type: 'response.reasoning_text.done', ...this.#at, text: this.text },
      { type: 'response.content_part.done', ...this.#at, part: this.#part },
      ...super.end(status),
    ]
  }

  get #part() {
    return { type: 'reasoning_text' as const, text: this.text }
  }

  get #at() {
    return { ...this.place, content_index: 0 }
  }
}

/** A call of a function; its text is the arguments. */
export class GrowingCall extends GrowingItem {
  readonly #name: string
  readonly #callId = makeId('call')

  constructor(index: number, name: string) {
    super('fc', index)
    this.#name = name
  }

  item(status: ItemStatus): CallItem {
    const call = { call_id: this.#callId, name: this.#name, arguments: this.text }
    return { id: this.id, type: 'function_call', status, ...call }
  }

  grow(delta: string): Unnumbered {
    this.text += delta
    return { type: 'response.function_call_arguments.delta', ...this.place, delta }
  }

  override end(status: ItemStatus): Unnumbered[] {
    const whole = { name: this.#name, arguments: this.text }
    return [
      { type: 'response.function_call_arguments.done', ...this.place, ...whole },
      ...super.end(status),
    ]
  }
}

import type { ItemStatus, OutputItem } from '../schemas/responses.js'
import type { AnswerEvent } from './answer-reader.js'
import {
  GrowingCall,
  type GrowingItem,
  GrowingMessage,
  GrowingReasoning,
  type Logprobs,
  type Unnumbered,
} from './response-items.js'

/** What more of a text belongs to. */
const kinds = { reasoning: GrowingReasoning, text: GrowingMessage, arguments: GrowingCall }

/** The items of a response, each of which begins, grows, and ends before the next one begins. */
export class ResponseOutput {
  readonly #ended: OutputItem[] = []
  #open: GrowingItem | undefined
  /** Of tokens of a message whose text has not come yet. */
  #logprobs: Logprobs = []

  /** All of them; one that has not ended is incomplete. */
  get items(): OutputItem[] {
    const open = this.#open === undefined ? [] : [this.#open.item('incomplete')]
    return [...this.#ended, ...open]
  }

  /**
   * Takes more of the answer.
   *
   * @param logprobs of tokens that are no thoughts
   */
  push(events: readonly AnswerEvent[], logprobs: Logprobs): Unnumbered[] {
    this.#logprobs.push(...logprobs)
    return events.flatMap((event) => this.#add(event))
  }

  /** Ends the last item. @param status why */
  end(status: ItemStatus): Unnumbered[] {
    // clients expect a message, were it an empty one
    const begun = this.#count === 0 ? this.#begin(new GrowingMessage(0)) : []
    return [...begun, ...this.#endOpen(status)]
  }

  get #count(): number {
    return this.#ended.length + (this.#open === undefined ? 0 : 1)
  }

  #add(event: AnswerEvent): Unnumbered[] {
    const events: Unnumbered[] = []
    const index = this.#count
    if (event.kind === 'call') return this.#begin(new GrowingCall(index, event.name))
    if (event.kind !== 'arguments' && !(this.#open instanceof kinds[event.kind])) {
      events.push(...this.#begin(new kinds[event.kind](index)))
    }
    const logprobs = event.kind === 'text' ? this.#logprobs.splice(0) : []
    const grown = this.#open?.grow(event.text, logprobs)
    return grown === undefined ? events : [...events, grown]
  }

  #begin(item: GrowingItem): Unnumbered[] {
    const ended = this.#endOpen('completed')
    // tokens that call are no text
    if (item instanceof GrowingCall) this.#logprobs = []
    this.#open = item
    return [...ended, ...item.begin()]
  }

  #endOpen(status: ItemStatus): Unnumbered[] {
    const open = this.#open
    if (open === undefined) return []
    this.#open = undefined
    this.#ended.push(open.item(status))
    return open.end(status)
  }
}

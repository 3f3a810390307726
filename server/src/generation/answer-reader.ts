import type { CallEvent, CallParser } from '../text/call-reader.js'
import { Thinking, type Thought } from '../text/thinking.js'

/** What an answer comes to, in its order. */
export type AnswerEvent = { readonly kind: 'reasoning'; readonly text: string } | CallEvent

/** Tells what the model thinks, says and calls, as the text of one choice comes in pieces. */
export class AnswerReader {
  readonly #thinking: Thinking
  readonly #calls: CallParser | undefined

  /**
   * @param thinks the prompt has begun the thinking
   * @param calls undefined where there is nothing to call
   */
  constructor(thinks: boolean, calls: CallParser | undefined) {
    this.#thinking = new Thinking(thinks)
    this.#calls = calls
  }

  /** Whether the next piece begins amid the thinking. */
  get isThinking(): boolean {
    return this.#thinking.isOpen
  }

  push(piece: string): AnswerEvent[] {
    return this.#read(this.#thinking.push(piece), false)
  }

  /** What was held back until it was clear what it is. */
  end(): AnswerEvent[] {
    return this.#read(this.#thinking.end(), true)
  }

  #read({ reasoning, content }: Thought, isLast: boolean): AnswerEvent[] {
    const events: AnswerEvent[] = reasoning === '' ? [] : [{ kind: 'reasoning', text: reasoning }]
    if (this.#calls === undefined) {
      return content === '' ? events : [...events, { kind: 'text', text: content }]
    }
    events.push(...this.#calls.push(content))
    if (isLast) events.push(...this.#calls.end())
    return events
  }
}

import { type CallEvent, type CallParser, CallReader } from './call-reader.js'
import { tagBegunAt } from './tags.js'

export const OPEN = '<tool_call>'
export const CLOSE = '</tool_call>'

/**
 * Reads calls as Hermes and Qwen write them: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, any number,
 * with text before and between. White space beside a call belongs to it. What is in the tags but is no call, is text.
 */
export class HermesCalls implements CallParser {
  #state: 'text' | 'opened' | 'call' | 'closing' = 'text'
  /** What is not clear yet. */
  #buffer = ''
  #reader = new CallReader()
  /** What text there is of a call, were it none. */
  #opening = ''
  #hasCalls = false
  /** White space is a call's, not the text's. */
  #skipsSpace = false

  push(piece: string): CallEvent[] {
    this.#buffer += piece
    const events: CallEvent[] = []
    while (this.#step(events)) {
      // each step takes something from the buffer
    }
    return events
  }

  end(): CallEvent[] {
    if (this.#state === 'text') {
      const isSpace = this.#hasCalls && this.#buffer.trim() === ''
      return isSpace ? [] : textEvents(this.#buffer)
    }
    if (this.#state === 'opened') return textEvents(OPEN + this.#buffer)
    if (this.#state === 'closing' || this.#reader.isCall) return []
    return [...textEvents(this.#opening), ...this.#reader.end()]
  }

  /** Whether it may go on at once. */
  #step(events: CallEvent[]): boolean {
    switch (this.#state) {
      case 'text':
        return this.#readText(events)
      case 'opened':
        return this.#readOpening(events)
      case 'call':
        return this.#readCall(events)
      case 'closing':
        return this.#readClosing()
    }
  }

  #readText(events: CallEvent[]): boolean {
    if (this.#skipsSpace) this.#buffer = this.#buffer.trimStart()
    if (this.#buffer === '') return false
    const at = this.#buffer.indexOf(OPEN)
    const until = at < 0 ? tagBegunAt(this.#buffer, OPEN) : at
    const text = this.#buffer.slice(0, until).trimEnd()
    events.push(...textEvents(text))
    if (text !== '') this.#skipsSpace = false
    this.#buffer = this.#buffer.slice(at < 0 ? text.length : at + OPEN.length)
    if (at >= 0) this.#state = 'opened'
    return at >= 0
  }

  #readOpening(events: CallEvent[]): boolean {
    const body = this.#buffer.trimStart()
    if (body === '') return false
    this.#opening = OPEN + this.#buffer.slice(0, this.#buffer.length - body.length)
    this.#buffer = body
    this.#reader = new CallReader()
    this.#state = body.startsWith('{') ? 'call' : 'text'
    if (this.#state === 'text') this.#tellOpening(events)
    return true
  }

  #readCall(events: CallEvent[]): boolean {
    const { events: found, rest } = this.#reader.push(this.#buffer)
    this.#buffer = rest ?? ''
    const isText = rest !== undefined && !this.#reader.isCall
    if (isText) this.#tellOpening(events)
    events.push(...found)
    if (rest === undefined) return false
    this.#state = isText ? 'text' : 'closing'
    return true
  }

  /** Skips to the end of the closing tag. */
  #readClosing(): boolean {
    const at = this.#buffer.indexOf(CLOSE)
    this.#buffer = this.#buffer.slice(at < 0 ? tagBegunAt(this.#buffer, CLOSE) : at + CLOSE.length)
    if (at < 0) return false
    this.#hasCalls = true
    this.#skipsSpace = true
    this.#state = 'text'
    return true
  }

  #tellOpening(events: CallEvent[]): void {
    events.push(...textEvents(this.#opening))
    this.#skipsSpace = false
  }
}

function textEvents(text: string): CallEvent[] {
  return text === '' ? [] : [{ kind: 'text', text }]
}

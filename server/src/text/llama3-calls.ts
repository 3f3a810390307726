import { type CallEvent, type CallParser, CallReader } from './call-reader.js'
import { tagBegunAt } from './tags.js'

const TAG = '<|python_tag|>'

/**
 * Reads calls as Llama 3 writes them: the text is `{"name": ..., "parameters": {...}}`, or several of these with `;`
 * between, maybe behind a tag. A text that begins otherwise calls nothing.
 */
export class Llama3Calls implements CallParser {
  #state: 'start' | 'call' | 'behind' | 'text' = 'start'
  /** What is not clear yet. */
  #buffer = ''
  #reader = new CallReader()
  /** White space in front of what may be a call. */
  #space = ''

  push(piece: string): CallEvent[] {
    this.#buffer += piece
    const events: CallEvent[] = []
    while (this.#step(events)) {
      // each step takes something from the buffer
    }
    return events
  }

  end(): CallEvent[] {
    if (this.#state === 'behind') return []
    if (this.#state !== 'call') return textEvents(this.#buffer)
    return this.#reader.isCall ? [] : [...textEvents(this.#space), ...this.#reader.end()]
  }

  #step(events: CallEvent[]): boolean {
    if (this.#buffer === '') return false
    switch (this.#state) {
      case 'start':
        return this.#readStart()
      case 'call':
        return this.#readCall(events)
      case 'behind':
        return this.#readBehind()
      case 'text':
        events.push(...textEvents(this.#buffer))
        this.#buffer = ''
        return false
    }
  }

  #readStart(): boolean {
    let body = this.#buffer.trimStart()
    if (body === '' || (body.length < TAG.length && tagBegunAt(body, TAG) === 0)) return false
    if (body.startsWith(TAG)) {
      body = body.slice(TAG.length).trimStart()
      if (body === '') return false
      this.#space = ''
    } else this.#space = this.#buffer.slice(0, this.#buffer.length - body.length)
    this.#state = body.startsWith('{') ? 'call' : 'text'
    if (this.#state === 'call') this.#buffer = body
    return true
  }

  #readCall(events: CallEvent[]): boolean {
    const { events: found, rest } = this.#reader.push(this.#buffer)
    this.#buffer = rest ?? ''
    if (rest !== undefined && !this.#reader.isCall) events.push(...textEvents(this.#space))
    events.push(...found)
    if (rest === undefined) return false
    this.#state = this.#reader.isCall ? 'behind' : 'text'
    this.#space = ''
    return true
  }

  #readBehind(): boolean {
    this.#buffer = this.#buffer.replace(/^[\s;]+/, '')
    if (this.#buffer === '') return false
    this.#reader = new CallReader()
    this.#state = this.#buffer.startsWith('{') ? 'call' : 'text'
    return true
  }
}

function textEvents(text: string): CallEvent[] {
  return text === '' ? [] : [{ kind: 'text', text }]
}

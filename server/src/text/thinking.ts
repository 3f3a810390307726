import { tagBegunAt } from './tags.js'

export const OPEN = '<think>'
export const CLOSE = '</think>'

/** Whether a model that reads this prompt is amid its thinking. */
export function beginsThinking(prompt: string): boolean {
  return prompt.trimEnd().endsWith(OPEN)
}

/** Whether a model that reads this prompt has done with its thinking. */
export function endsThinking(prompt: string): boolean {
  return prompt.trimEnd().endsWith(CLOSE)
}

/** What a piece of an answer adds to what the model thought first, and to what it then said. */
export interface Thought {
  readonly reasoning: string
  readonly content: string
}

/**
 * Tells what a model thinks, in `<think>` and `</think>` at the beginning of its answer, from what it says. White space
 * beside the tags belongs to them. The parts do not depend on where the text is cut.
 */
export class Thinking {
  #state: 'start' | 'reasoning' | 'content'
  /** What is not clear yet. */
  #buffer = ''
  /** White space is a tag's. */
  #skipsSpace = false

  /** @param hasBegun the prompt ends with the opening tag */
  constructor(hasBegun: boolean) {
    this.#state = hasBegun ? 'reasoning' : 'start'
    this.#skipsSpace = hasBegun
  }

  /** Whether the thinking has begun, and not ended. */
  get isOpen(): boolean {
    return this.#state === 'reasoning'
  }

  push(piece: string): Thought {
    this.#buffer += piece
    if (this.#state === 'start') this.#readStart()
    const reasoning = this.#state === 'reasoning' ? this.#readReasoning() : ''
    const content = this.#state === 'content' ? this.#readContent() : ''
    return { reasoning, content }
  }

  end(): Thought {
    const held = this.#buffer
    this.#buffer = ''
    if (this.#state !== 'reasoning') return { reasoning: '', content: held }
    return { reasoning: held.trim() === '' ? '' : held, content: '' }
  }

  #readStart(): void {
    const body = this.#buffer.trimStart()
    if (body.startsWith(OPEN)) {
      this.#buffer = body.slice(OPEN.length)
      this.#state = 'reasoning'
      this.#skipsSpace = true
    } else if (body !== '' && (body.length >= OPEN.length || tagBegunAt(body, OPEN) > 0)) {
      this.#state = 'content'
    }
  }

  #readReasoning(): string {
    if (this.#skipsSpace) this.#buffer = this.#buffer.trimStart()
    if (this.#buffer === '') return ''
    const at = this.#buffer.indexOf(CLOSE)
    const text = this.#buffer.slice(0, at < 0 ? tagBegunAt(this.#buffer, CLOSE) : at).trimEnd()
    if (text !== '') this.#skipsSpace = false
    this.#buffer = this.#buffer.slice(at < 0 ? text.length : at + CLOSE.length)
    if (at >= 0) {
      this.#state = 'content'
      this.#skipsSpace = true
    }
    return text
  }

  #readContent(): string {
    const text = this.#skipsSpace ? this.#buffer.trimStart() : this.#buffer
    this.#buffer = ''
    if (text !== '') this.#skipsSpace = false
    return text
  }
}

import type { Answer, Question } from './conversation.js'
import { copyButton } from './copy-button.js'
import { element } from './dom.js'
import { Markdown } from './markdown.js'
import { digits, seconds } from './numbers.js'

/** What somebody has written, as it was written. */
export function questionView({ text }: Question): HTMLElement {
  const speaker = element('h3', { className: 'speaker' }, 'You')
  const body = element('div', { className: 'body' }, element('p', { className: 'said' }, text))
  return element('article', { className: 'turn question' }, speaker, body)
}

/** An answer while it comes, and after. */
export class AnswerView {
  readonly element = element('article', { className: 'turn answer' })
  readonly #answer: Answer
  readonly #text = new Markdown()
  readonly #thinking = element('details', { className: 'thinking', hidden: true })
  readonly #thinkingTitle = element('summary')
  readonly #thoughts = element('p')
  readonly #error = element('p', { className: 'error', hidden: true, role: 'alert' })
  readonly #foot = element('footer')
  readonly #figures = element('span', { className: 'figures' })
  readonly #copy: HTMLButtonElement
  readonly #retry = element('button', { type: 'button' })

  /** @param retry asks for another answer in the place of this one */
  constructor(answer: Answer, retry: () => void) {
    this.#answer = answer
    this.#copy = copyButton(() => answer.text)
    this.#retry.addEventListener('click', retry)
    this.#thinking.append(this.#thinkingTitle, this.#thoughts)
    this.#foot.append(this.#copy, this.#retry, this.#figures)
    const speaker = element('h3', { className: 'speaker' }, answer.model)
    const body = element('div', { className: 'body' })
    body.append(this.#thinking, this.#text.element, this.#error, this.#foot)
    this.element.append(speaker, body)
    this.update(true)
  }

  /** Shows what the answer has come to. @param isLast only the last can be asked for again */
  update(isLast: boolean): void {
    const { text, reasoning, outcome, error } = this.#answer
    const isRunning = outcome === 'running'
    // read aloud once, at its end
    this.element.ariaBusy = `${isRunning}`
    this.element.classList.toggle('empty', text === '')
    this.#text.update(text)
    this.#thinking.hidden = reasoning === ''
    this.#thoughts.textContent = reasoning.trim()
    this.#thinkingTitle.textContent = this.#thinkingText
    this.#error.hidden = outcome !== 'failed'
    this.#error.textContent = error ?? ''
    this.#foot.hidden = isRunning
    this.#copy.hidden = text === ''
    this.#retry.hidden = !isLast
    this.#retry.textContent = outcome === 'failed' ? 'Try again' : 'Regenerate'
    this.#figures.textContent = this.#figuresText
  }

  get #thinkingText(): string {
    const { thinkingMillis, outcome } = this.#answer
    if (thinkingMillis !== undefined) return `Thought for ${seconds(thinkingMillis)}`
    return outcome === 'running' ? 'Thinking' : 'Thought'
  }

  get #figuresText(): string {
    const { tokens, tokensPerSecond, firstTokenMillis, outcome, finishReason } = this.#answer
    const parts = [
      tokensPerSecond === undefined ? '' : `${digits(tokensPerSecond)} tokens/s`,
      firstTokenMillis === undefined ? '' : `first token ${seconds(firstTokenMillis)}`,
      tokens === undefined ? '' : `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`,
      outcome === 'stopped' ? 'stopped' : '',
      finishReason === 'length' ? 'cut off at the most tokens' : '',
    ]
    return parts.filter(Boolean).join(' · ')
  }
}

import type { GenerateOptions } from '../model/generation/generate.js'
import { encodePrompt } from '../model/generation/prompt.js'
import type { Model } from '../model/model.js'
import type { ChatMessage } from '../model/text/chat-messages.js'
import { Interrupt } from './interrupt.js'
import { Stopwatch } from './stopwatch.js'
import { writeText } from './write-text.js'

/** The messages of the user and the model. */
export class Conversation {
  readonly #model: Model
  readonly #opening: readonly ChatMessage[]
  readonly #options: GenerateOptions
  #messages: readonly ChatMessage[]

  private constructor(model: Model, opening: readonly ChatMessage[], options: GenerateOptions) {
    this.#model = model
    this.#opening = opening
    this.#options = options
    this.#messages = opening
  }

  /**
   * @param system the system message, if any
   * @param options of every answer
   * @throws ArgumentError for options, or a system message that the chat template refuses
   */
  static async begin(
    model: Model,
    system: string | undefined,
    options: GenerateOptions,
  ): Promise<Conversation> {
    const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
    // a generation that is never started, so that errors appear before the user types anything
    const messages: ChatMessage[] = [...opening, { role: 'user', content: '?' }]
    model.generate(messages, options)
    await encodePrompt(model, messages)
    return new Conversation(model, opening, options)
  }

  /**
   * Writes the model's answer to stdout. Ctrl-C ends it, and the text so far counts as the answer.
   *
   * @throws as the model does; the conversation is then unchanged
   */
  async answer(content: string): Promise<Stopwatch> {
    using interrupt = new Interrupt()
    const { signal } = interrupt
    const messages: ChatMessage[] = [...this.#messages, { role: 'user', content }]
    const stopwatch = new Stopwatch(this.#model)
    const pieces = this.#model.generate(messages, { ...this.#options, signal })
    const answer = await writeText(pieces, stopwatch, signal)
    this.#messages = [...messages, { role: 'assistant', content: answer }]
    return stopwatch
  }

  /** Drops all messages except the system message. */
  reset(): void {
    this.#messages = this.#opening
  }
}

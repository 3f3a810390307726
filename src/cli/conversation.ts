import type { GenerateOptions } from '../model/generation/generate.js'
import { encodePrompt } from '../model/generation/prompt.js'
import type { Model } from '../model/model.js'
import type { ChatMessage } from '../model/text/chat-messages.js'
import { Interrupt } from './interrupt.js'
import { Stopwatch } from './stopwatch.js'
import { writeText } from './write-text.js'

/** What the user and the model have said. */
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
   * @param system what the model is told first, if anything
   * @param options of every answer
   * @throws ArgumentError for options, or a system message that the chat template refuses
   */
  static async begin(
    model: Model,
    system: string | undefined,
    options: GenerateOptions,
  ): Promise<Conversation> {
    const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
    // a turn that is never begun, so that what is wrong comes out before the user says anything
    const messages: ChatMessage[] = [...opening, { role: 'user', content: '?' }]
    model.generate(messages, options)
    await encodePrompt(model, messages)
    return new Conversation(model, opening, options)
  }

  /**
   * Writes the model's answer to stdout. Ctrl-C ends it, and what was written counts as the answer.
   *
   * @throws as the model does; then nothing was said
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

  /** Forgets all but the system message. */
  reset(): void {
    this.#messages = this.#opening
  }
}

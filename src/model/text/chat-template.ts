import { ArgumentError, checkBoolean, describe } from '../../errors.js'
import { isObject } from '../json/fields.js'
import { type ChatMessage, checkMessages } from './chat-messages.js'
import type { TextRequest, TextService } from './thread/service.js'

export interface RenderOptions {
  /** The text ends where the assistant's answer begins; true by default. */
  addGenerationPrompt?: boolean | undefined
  /** Descriptions of the functions that the model may call, as JSON schemas. */
  tools?: readonly object[] | undefined
  /** Variables that the template reads, by its own names, such as `enable_thinking`; plain data. */
  [variable: string]: unknown
}

/**
 * Writes conversations as the text that a model was trained on, by its checkpoint's Jinja template, which runs
 * in a thread of its own.
 */
export class ChatTemplate {
  readonly #service: TextService | undefined
  readonly #file: string

  /**
   * @internal
   * @param service undefined where there is no template
   * @param file named in errors
   */
  constructor(service: TextService | undefined, file: string) {
    this.#service = service
    this.#file = file
  }

  /** Whether the checkpoint has one. */
  get exists(): boolean {
    return this.#service !== undefined
  }

  /**
   * The text of a conversation. It spells the special tokens out, so the tokenizer must add none. Blocks
   * until it is written.
   *
   * Messages may have the shapes of the chat APIs of servers.
   *
   * @param messages at least one
   * @throws ArgumentError naming what is no message or what the template refuses, or if the
   *   checkpoint has no template; FormatError if the template fails; DeadlineError if it does not come to an end
   */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    return this.#check(messages).callSync(renderRequest(messages, options))
  }

  /**
   * The same, while the event loop goes on.
   *
   * @throws also the signal's reason
   */
  renderAsync(
    messages: readonly ChatMessage[],
    options: RenderOptions = {},
    signal?: AbortSignal,
  ): Promise<string> {
    return this.#check(messages).call(renderRequest(messages, options), signal)
  }

  #check(messages: readonly ChatMessage[]): TextService {
    checkMessages(messages)
    if (this.#service !== undefined) return this.#service
    throw new ArgumentError(
      'messages',
      'a checkpoint with a chat template; a plain prompt works without one',
      `none in ${this.#file}`,
    )
  }
}

function renderRequest(
  messages: readonly ChatMessage[],
  { addGenerationPrompt = true, tools, ...variables }: RenderOptions,
): TextRequest<'render'> {
  checkBoolean('addGenerationPrompt', addGenerationPrompt)
  if (tools !== undefined && !(Array.isArray(tools) && tools.every(isObject))) {
    throw new ArgumentError('tools', 'an array of objects', describe(tools))
  }
  try {
    // as they are now: the caller may change them before their turn comes
    const data = structuredClone({ messages, tools: tools ?? null, variables })
    return { kind: 'render', addGenerationPrompt, ...data }
  } catch (error) {
    throw new ArgumentError('messages', 'plain data', (error as Error).message)
  }
}

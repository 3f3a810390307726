import { ArgumentError, checkBoolean } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { type ChatMessage, copyMessages } from './chat-messages.js'
import { copyTemplateInputs, type TemplateInputs } from './template-inputs.js'
import type { TextRequest, TextService } from './thread/service.js'

export interface RenderOptions extends TemplateInputs {
  /** The text ends where the assistant's answer begins; true by default. */
  addGenerationPrompt?: boolean | undefined
}

const renderOptions: OptionNames<RenderOptions> = {
  addGenerationPrompt: checkBoolean,
  tools: true,
  templateOptions: true,
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
   * @throws ArgumentError naming what is no message, no tool or no JSON, or what the template refuses, or if the
   *   checkpoint has no template; FormatError if the template fails or writes without bound; DeadlineError if it does
   *   not come to an end
   */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    const request = renderRequest(messages, options)
    return this.#existing().callSync(request)
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
    const request = renderRequest(messages, options)
    return this.#existing().call(request, signal)
  }

  #existing(): TextService {
    if (this.#service !== undefined) return this.#service
    throw new ArgumentError(
      'messages',
      'a checkpoint with a chat template; a plain prompt works without one',
      `none in ${this.#file}`,
    )
  }
}

/** Copies all: the caller may change theirs before their turn comes. */
function renderRequest(
  messages: readonly ChatMessage[],
  options: RenderOptions,
): TextRequest<'render'> {
  const { addGenerationPrompt = true, ...inputs } = checkOptions(options, renderOptions)
  const { tools, templateOptions } = copyTemplateInputs(inputs)
  return {
    kind: 'render',
    messages: copyMessages(messages),
    addGenerationPrompt,
    tools: tools ?? null,
    variables: templateOptions,
  }
}

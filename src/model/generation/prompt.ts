import { ArgumentError } from '../../errors.js'
import type { ChatMessage } from '../text/chat-messages.js'
import type { ChatTemplate } from '../text/chat-template.js'
import type { TemplateInputs } from '../text/template-inputs.js'
import type { Tokenizer } from '../text/tokenizer.js'

/** Text, a conversation, or the tokens of either. */
export type Prompt = string | readonly ChatMessage[] | ArrayLike<number>

/** What makes tokens of texts. */
export interface PromptEncoder {
  /** Throws an ArgumentError where there is none. */
  readonly tokenizer: Tokenizer
  readonly chatTemplate: ChatTemplate
  /** The most tokens of a sequence. */
  readonly maxContext: number
}

/** Whether a prompt has to be tokenised. */
export function isText(prompt: Prompt): prompt is string | readonly ChatMessage[] {
  if (typeof prompt === 'string') return true
  return Array.isArray(prompt) && prompt.some((item) => typeof item === 'object')
}

/**
 * Tokenises a prompt as it is now, while the event loop goes on.
 *
 * @param inputs of the chat template, copied at once like the prompt
 * @throws ArgumentError at once for what is no conversation, a text that has too many tokens by its length alone, or
 *   where there is no tokenizer or chat template; the rest when it is found: what the template refuses, the
 *   signal's reason, DeadlineError
 */
export function encodePrompt(
  model: PromptEncoder,
  prompt: string | readonly ChatMessage[],
  signal?: AbortSignal,
  inputs: TemplateInputs = {},
): Promise<Uint32Array> {
  const { tokenizer, chatTemplate } = model
  if (typeof prompt === 'string') {
    refuseTemplateInputs(inputs)
    checkLength(model, prompt)
    return tokenizer.encodeAsync(prompt, { signal })
  }
  return chatTemplate.renderAsync(prompt, inputs, signal).then((text) => {
    checkLength(model, text)
    return tokenizer.encodeAsync(text, { addSpecialTokens: false, signal })
  })
}

/**
 * Of a prompt that no template writes.
 *
 * @throws ArgumentError if there are any
 */
export function refuseTemplateInputs({ tools, templateOptions }: TemplateInputs): void {
  for (const [argument, value] of Object.entries({ tools, templateOptions })) {
    if (value === undefined) continue
    throw new ArgumentError(
      argument,
      'messages as the prompt, for a chat template to write',
      'another prompt',
    )
  }
}

function checkLength({ tokenizer, maxContext }: PromptEncoder, text: string): void {
  const least = tokenizer.leastTokens(text)
  if (least >= maxContext) throw tooManyTokens('prompt', maxContext, `at least ${least}`)
}

/** Tells that there is no room for another token. */
export function tooManyTokens(argument: string, maxContext: number, got: string): ArgumentError {
  return new ArgumentError(
    argument,
    `at most ${maxContext - 1} tokens, to leave room for one more`,
    got,
  )
}

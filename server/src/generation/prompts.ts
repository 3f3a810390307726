import type { ChatMessage, Model, RenderOptions } from 'dotpool'
import { ApiError } from '../errors.js'
import type { ToolBody } from '../schemas/chat.js'

/**
 * The tokens of a text that is a prompt.
 *
 * @param field of the request, for errors
 * @throws ApiError if the model's context has no room for them and one more
 */
export async function encodePrompt(
  model: Model,
  field: string,
  text: string,
  addSpecialTokens: boolean,
  signal: AbortSignal,
): Promise<Uint32Array> {
  // tokenising what is too long anyway would keep others waiting
  checkLength(model, field, model.tokenizer.leastTokens(text), 'at least ')
  const tokens = await model.tokenizer.encodeAsync(text, { addSpecialTokens, signal })
  checkLength(model, field, tokens.length)
  return tokens
}

/** The text of a conversation by the model's template, and its tokens. */
export async function encodeMessages(
  model: Model,
  messages: readonly ChatMessage[],
  options: RenderOptions,
  signal: AbortSignal,
): Promise<{ text: string; tokens: Uint32Array }> {
  const text = await model.chatTemplate.renderAsync(messages, options, signal)
  return { text, tokens: await encodePrompt(model, 'messages', text, false, signal) }
}

/** What a template is told of functions: not how strictly their arguments are read. */
export function templateTools(tools: readonly ToolBody[]): object[] {
  return tools.map(({ type, function: { strict, ...described } }) => {
    return { type, function: described }
  })
}

/** @throws ApiError for so many tokens */
export function checkLength(model: Model, field: string, tokens: number, about = ''): void {
  const { maxContext } = model
  if (tokens < maxContext) return
  const message =
    `this model's context has ${maxContext} tokens, and the prompt has ${about}${tokens}: ` +
    'shorten it, to leave room for at least one more'
  throw new ApiError(400, message, { param: field, code: 'context_length_exceeded' })
}

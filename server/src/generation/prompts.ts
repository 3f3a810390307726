import { ApiError } from '../errors.js'
import type { ServedModel } from '../models/served-model.js'

/** A text, tokens, or several of either. */
export type Prompts = string | readonly string[] | readonly number[] | readonly number[][]

/** Each of them. */
export function promptsOf(prompts: Prompts): (string | readonly number[])[] {
  if (typeof prompts === 'string') return [prompts]
  const isTokens = prompts.every((item) => typeof item === 'number')
  return isTokens ? [prompts as number[]] : [...(prompts as (string | number[])[])]
}

/** Where a prompt stands in a request, and how many tokens the context must have beside it. */
export interface PromptPlace {
  readonly field: string
  readonly room: 0 | 1
}

/**
 * The tokens of a prompt; a text with those that the tokenizer puts around it.
 *
 * @throws ApiError if the model's context has no room for them
 */
export async function tokensOf(
  model: ServedModel,
  place: PromptPlace,
  prompt: string | readonly number[],
  signal: AbortSignal,
): Promise<ArrayLike<number>> {
  if (typeof prompt === 'string') return await encodePrompt(model, place, prompt, true, signal)
  checkLength(model, place, prompt.length)
  return prompt
}

/**
 * The tokens of a text that is a prompt.
 *
 * @throws ApiError if the model's context has no room for them
 */
export async function encodePrompt(
  model: ServedModel,
  place: PromptPlace,
  text: string,
  addSpecialTokens: boolean,
  signal: AbortSignal,
): Promise<Uint32Array> {
  // tokenising what is too long anyway would keep others waiting
  checkLength(model, place, model.tokenizer.leastTokens(text), 'at least ')
  const tokens = await model.tokenizer.encodeAsync(text, { addSpecialTokens, signal })
  checkLength(model, place, tokens.length)
  return tokens
}

function checkLength(
  model: ServedModel,
  { field, room }: PromptPlace,
  tokens: number,
  about = '',
): void {
  const { maxContext } = model
  if (tokens + room <= maxContext) return
  const message =
    `this model's context has ${maxContext} tokens, and ${field} has ${about}${tokens}: ` +
    `shorten it${room === 0 ? '' : ', to leave room for at least one more'}`
  throw new ApiError(400, message, { param: field, code: 'context_length_exceeded' })
}

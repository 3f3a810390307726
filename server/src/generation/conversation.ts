import { ArgumentError, type ChatMessage, type Model, type RenderOptions } from 'dotpool'
import { refuse } from '../errors.js'
import { callSyntaxOf } from '../text/call-syntax.js'
import { AnswerReader } from './answer-reader.js'
import { encodePrompt } from './prompts.js'

/** What a model is asked to answer. */
export interface ConversationInput {
  readonly messages: readonly ChatMessage[]
  /** The request's field that they come from, for errors. */
  readonly field: string
  readonly tools: readonly object[] | null | undefined
  readonly toolChoice: 'none' | 'auto' | null | undefined
  readonly templateOptions: RenderOptions['templateOptions']
}

/** The prompt that asks it, and readers of the answers. */
export interface Conversation {
  readonly tokens: Uint32Array
  readonly makeReader: () => AnswerReader
}

/**
 * Has the model's template write a conversation.
 *
 * @param name of the model
 * @throws ApiError if the model knows no calls, or has no room for an answer
 */
export async function prepareConversation(
  name: string,
  model: Model,
  { messages, field, tools: given, toolChoice, templateOptions }: ConversationInput,
  signal: AbortSignal,
): Promise<Conversation> {
  const tools = toolChoice === 'none' || !given?.length ? undefined : given
  const makeParser = tools && (await callSyntaxOf(model))
  if (tools !== undefined && makeParser === undefined) {
    throw refuse('tools', `the chat template of ${name} writes no calls that are understood`)
  }
  const inputs = { tools, templateOptions }
  const text = await model.chatTemplate.renderAsync(messages, inputs, signal).catch((error) => {
    throw naming(field, error)
  })
  const tokens = await encodePrompt(model, { field, room: 1 }, text, false, signal)
  const thinks = /<think>\s*$/.test(text)
  return { tokens, makeReader: () => new AnswerReader(thinks, makeParser?.()) }
}

/** What a template refuses of messages, by the field that they come from. */
function naming(field: string, error: unknown): unknown {
  const isOfOther = error instanceof ArgumentError && /^messages\b/.test(error.argument)
  if (!isOfOther || field === 'messages') return error
  return refuse(field, `expected ${error.expected}, got ${error.got}`)
}

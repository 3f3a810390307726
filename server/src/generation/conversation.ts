import { ArgumentError, type ChatMessage, type RenderOptions } from 'dotpool'
import { refuse } from '../errors.js'
import { behindThinking } from '../format/behind-thinking.js'
import { type CallRules, callsFormat } from '../format/calls-format.js'
import type { FormatPart } from '../format/format-part.js'
import type { ServedModel } from '../models/served-model.js'
import type { ToolBody } from '../schemas/chat.js'
import { callSyntaxOf } from '../text/call-syntax.js'
import { beginsThinking } from '../text/thinking.js'
import { AnswerReader } from './answer-reader.js'
import { encodePrompt } from './prompts.js'

/** What a model is asked to answer. */
export interface ConversationInput {
  readonly messages: readonly ChatMessage[]
  /** The request's field that they come from, for errors. */
  readonly field: string
  readonly calls: CallRules
  /** What an answer without calls is to look like, if anything. */
  readonly content: FormatPart | undefined
  readonly templateOptions: RenderOptions['templateOptions']
}

/** The prompt that asks it, what answers are to look like, and readers of them. */
export interface Conversation {
  readonly tokens: Uint32Array
  readonly format: FormatPart | undefined
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
  model: ServedModel,
  { messages, field, calls, content, templateOptions }: ConversationInput,
  signal: AbortSignal,
): Promise<Conversation> {
  const tools = calls.choice === 'none' || !calls.tools?.length ? undefined : calls.tools
  const syntax = tools && (await callSyntaxOf(model))
  if (tools !== undefined && syntax === undefined) {
    throw refuse('tools', `the chat template of ${name} writes no calls that are understood`)
  }
  const format = callsFormat(calls, syntax, content)
  const inputs = { tools: tools && templateTools(tools), templateOptions }
  const text = await model.chatTemplate.renderAsync(messages, inputs, signal).catch((error) => {
    throw naming(field, error)
  })
  const tokens = await encodePrompt(model, { field, room: 1 }, text, false, signal)
  const thinks = beginsThinking(text)
  return {
    tokens,
    format: format && (await behindThinking(format, text, model)),
    makeReader: () => new AnswerReader(thinks, syntax?.makeParser()),
  }
}

/** What a template is told of functions: not how strictly their arguments are read. */
export function templateTools(tools: readonly ToolBody[]): object[] {
  return tools.map(({ type, function: { strict, ...described } }) => {
    return { type, function: described }
  })
}

/** What a template refuses of messages, by the field that they come from. */
function naming(field: string, error: unknown): unknown {
  const isOfOther = error instanceof ArgumentError && /^messages\b/.test(error.argument)
  if (!isOfOther || field === 'messages') return error
  return refuse(field, `expected ${error.expected}, got ${error.got}`)
}

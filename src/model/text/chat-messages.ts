import { ArgumentError, describe } from '../../errors.js'
import { isObject } from '../json/fields.js'

/** Who says a message. */
export type ChatRole = 'system' | 'developer' | 'user' | 'assistant' | 'tool'

const roles: readonly ChatRole[] = ['system', 'developer', 'user', 'assistant', 'tool']

/** A part of a message's content. */
export interface TextPart {
  type: 'text'
  text: string
  [field: string]: unknown
}

/** One turn of a conversation, in the shape that the chat APIs of servers have. */
export interface ChatMessage {
  role: ChatRole
  /** Text, whole or in parts; may be null or left out beside `tool_calls`. */
  content?: string | readonly TextPart[] | null | undefined
  /** What else the template reads, such as `tool_calls`. */
  [field: string]: unknown
}

/** @throws ArgumentError naming what is no message */
export function checkMessages(messages: unknown): asserts messages is readonly ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    const got = Array.isArray(messages) ? 'none' : describe(messages)
    throw new ArgumentError('messages', 'an array of at least one message', got)
  }
  for (const [i, message] of messages.entries()) {
    if (!isObject(message)) {
      throw new ArgumentError(`messages[${i}]`, '{ role, content }', describe(message))
    }
    const { role } = message
    if (!roles.some((known) => known === role)) {
      throw new ArgumentError(`messages[${i}].role`, `one of ${roles.join(', ')}`, describe(role))
    }
    checkContent(`messages[${i}].content`, message)
  }
}

function checkContent(argument: string, { content, tool_calls: calls }: Record<string, unknown>) {
  if (typeof content === 'string') return
  if (Array.isArray(content)) {
    for (const [i, part] of content.entries()) {
      if (isObject(part) && part.type === 'text' && typeof part.text === 'string') continue
      const got = isObject(part) ? `type ${describe(part.type)}` : describe(part)
      throw new ArgumentError(`${argument}[${i}]`, "{ type: 'text', text }", got)
    }
    return
  }
  const isLeftOut = content === null || content === undefined
  if (isLeftOut && Array.isArray(calls) && calls.length > 0) return
  throw new ArgumentError(argument, 'a string, or parts of text', describe(content))
}

/**
 * A message as transformers gives it to templates: without the fields that hold nothing, of which many
 * templates would write "None".
 */
export function withoutEmptyFields(message: ChatMessage): ChatMessage {
  const fields = Object.entries(message).filter(
    ([, value]) => value !== null && value !== undefined,
  )
  return Object.fromEntries(fields) as ChatMessage
}

/** The same with the text of its parts as one, put together as the server of transformers does. */
export function withJoinedContent(message: ChatMessage): ChatMessage {
  const { content } = message
  if (!Array.isArray(content)) return message
  return { ...message, content: content.map(({ text }: TextPart) => text).join(' ') }
}

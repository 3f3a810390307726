import { ArgumentError, describe } from '../../errors.js'
import { JsonCopier } from '../json/copy-json.js'
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

/** A call of a function that an assistant asks for. */
export interface ToolCall {
  id?: string | undefined
  type?: 'function' | undefined
  function: {
    name: string
    /** An object, or its JSON as the APIs of servers have it: templates always get the object. */
    arguments?: object | string | undefined
    [field: string]: unknown
  }
  [field: string]: unknown
}

/** One turn of a conversation, in the shape that the chat APIs of servers have. */
export interface ChatMessage {
  role: ChatRole
  /** Text, whole or in parts; may be null or left out beside `tool_calls`. */
  content?: string | readonly TextPart[] | null | undefined
  /** An assistant's. */
  tool_calls?: readonly ToolCall[] | null | undefined
  /** What an assistant thought before it answered. */
  reasoning_content?: string | null | undefined
  /** Of a tool's result: the call that it belongs to. */
  tool_call_id?: string | null | undefined
  /** Of a tool's result: the function. */
  name?: string | null | undefined
  /** What else the template reads. */
  [field: string]: unknown
}

const texts = ['reasoning_content', 'tool_call_id', 'name']

/**
 * A copy of messages, for the caller may change theirs before their turn comes: with the arguments of calls as objects,
 * and without lists of no calls, which templates take for calls.
 *
 * @throws ArgumentError naming what is no message
 */
export function copyMessages(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) {
    const got = Array.isArray(messages) ? 'none' : describe(messages)
    throw new ArgumentError('messages', 'an array of at least one message', got)
  }
  const copier = new JsonCopier()
  const copies = copier.copy(['messages'], messages) as unknown[]
  return copies.map((message, i) => {
    checkMessage(`messages[${i}]`, message)
    const { tool_calls: calls, ...others } = message
    if (isNothing(calls) || calls.length === 0) return others
    const parsed = calls.map((call, j) => withParsedArguments(copier, call, i, j))
    return { ...message, tool_calls: parsed }
  })
}

function checkMessage(argument: string, message: unknown): asserts message is ChatMessage {
  if (!isObject(message)) {
    throw new ArgumentError(argument, '{ role, content }', describe(message))
  }
  const { role, tool_calls: calls } = message
  if (!roles.some((known) => known === role)) {
    throw new ArgumentError(`${argument}.role`, `one of ${roles.join(', ')}`, describe(role))
  }
  if (!isNothing(calls) && !Array.isArray(calls)) {
    throw new ArgumentError(`${argument}.tool_calls`, 'an array of calls', describe(calls))
  }
  for (const name of texts) {
    if (isNothing(message[name]) || typeof message[name] === 'string') continue
    throw new ArgumentError(`${argument}.${name}`, 'a string', describe(message[name]))
  }
  checkContent(`${argument}.content`, message)
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
  if (isNothing(content) && Array.isArray(calls) && calls.length > 0) return
  throw new ArgumentError(argument, 'a string, or parts of text', describe(content))
}

/** Templates call filters for objects on them, as transformers' documentation asks for. */
function withParsedArguments(copier: JsonCopier, call: unknown, i: number, j: number): ToolCall {
  const argument = `messages[${i}].tool_calls[${j}]`
  if (!isObject(call) || !isObject(call.function) || typeof call.function.name !== 'string') {
    const expected = '{ function: { name, arguments } }'
    throw new ArgumentError(argument, expected, JSON.stringify(call).slice(0, 60))
  }
  const given = call.function.arguments ?? {}
  const path = ['messages', i, 'tool_calls', j, 'function', 'arguments'] as const
  const parsed = typeof given === 'string' ? copier.copy(path, parseArguments(given)) : given
  if (!isObject(parsed)) {
    const expected = 'an object, or the JSON of one'
    throw new ArgumentError(`${argument}.function.arguments`, expected, describe(given))
  }
  return { ...call, function: { ...call.function, arguments: parsed } } as ToolCall
}

/** Null for what is not JSON. A model that calls without arguments may have written nothing. */
function parseArguments(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

/**
 * A message as transformers gives it to templates: without the fields that hold nothing, of which many
 * templates would write "None".
 */
export function withoutEmptyFields(message: ChatMessage): ChatMessage {
  return Object.fromEntries(
    Object.entries(message).filter(([, value]) => !isNothing(value)),
  ) as ChatMessage
}

/** The same with the text of its parts as one, put together as the server of transformers does. */
export function withJoinedContent(message: ChatMessage): ChatMessage {
  const { content } = message
  if (!Array.isArray(content)) return message
  return { ...message, content: content.map(({ text }: TextPart) => text).join(' ') }
}

import type { ChatMessage, ToolCall } from 'dotpool'
import { refuse } from '../errors.js'
import type { InputItem, ResponseBody } from '../schemas/responses.js'

/** An assistant's turn: what it thought, then said, then called. */
interface Turn extends ChatMessage {
  role: 'assistant'
  content: string
  tool_calls?: ToolCall[]
}

/**
 * The conversation that a response's input is. Items of one turn of the assistant, its reasoning, message and calls,
 * become one message, as templates expect.
 *
 * @throws ApiError naming an item that does not fit those before it
 */
export function toMessages({ instructions, input }: ResponseBody): ChatMessage[] {
  const messages: ChatMessage[] = []
  if (instructions != null) messages.push({ role: 'system', content: instructions })
  if (typeof input === 'string') return [...messages, { role: 'user', content: input }]
  const functions = new Map<string, string>()
  for (const [i, item] of input.entries()) {
    const field = `input[${i}]`
    if (item.type === 'function_call') {
      checkArguments(`${field}.arguments`, item.arguments)
      functions.set(item.call_id, item.name)
    }
    if (item.type === 'function_call_output') {
      const name = functions.get(item.call_id)
      if (name === undefined) {
        throw refuse(`${field}.call_id`, 'no function_call before it has this call_id')
      }
      const content = textOf(item.output)
      messages.push({ role: 'tool', tool_call_id: item.call_id, name, content })
    } else if (isAnothers(item)) {
      messages.push({ role: item.role, content: textOf(item.content) })
    } else {
      const last = messages.at(-1)
      const turn = last?.role === 'assistant' ? (last as Turn) : undefined
      if (turn === undefined || !extend(turn, item)) messages.push(begin(item))
    }
  }
  return messages
}

type AssistantItem = Exclude<InputItem, { type: 'function_call_output' }>
type InputMessage = Extract<InputItem, { role: string }>
type InputCall = Extract<InputItem, { type: 'function_call' }>

function isAnothers(item: InputItem): item is InputMessage {
  return 'role' in item && item.role !== 'assistant'
}

/** Adds an item to a turn. False where it begins another. */
function extend(turn: Turn, item: AssistantItem): boolean {
  if (item.type === 'function_call') {
    turn.tool_calls ??= []
    turn.tool_calls.push(toCall(item))
    return true
  }
  const hasSpoken = turn.content !== '' || turn.tool_calls !== undefined
  if (item.type === 'reasoning' || hasSpoken) return false
  turn.content = textOf(item.content)
  return true
}

function begin(item: AssistantItem): Turn {
  const turn: Turn = { role: 'assistant', content: '' }
  if (item.type !== 'reasoning') extend(turn, item)
  else turn.reasoning_content = (item.content ?? []).map(({ text }) => text).join('')
  return turn
}

function toCall({ call_id, name, arguments: given }: InputCall): ToolCall {
  return { id: call_id, type: 'function', function: { name, arguments: given } }
}

function textOf(content: string | readonly { text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('')
}

/** A model that calls without arguments may have written nothing. */
function checkArguments(field: string, json: string): void {
  if (json.trim() === '') return
  try {
    const values: unknown = JSON.parse(json)
    if (typeof values === 'object' && values !== null && !Array.isArray(values)) return
  } catch {
    // told below
  }
  throw refuse(field, 'expected the JSON of an object')
}

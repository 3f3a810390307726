import {
  type ChatMessage,
  type ChatRole,
  type TextPart,
  type ToolCall,
  withJoinedContent,
  withoutEmptyFields,
} from '../chat-messages.js'

/** A text that no template has of its own. */
const NEEDLE = 'dotpool-looks-for-this'

const parts: readonly TextPart[] = [{ type: 'text', text: NEEDLE }]

/**
 * Gives a template messages in the shapes that it knows. It is tried out: one that would not write parts
 * of text gets them as one text, and one that would not write what a developer says gets it as a system
 * message.
 */
export class MessageShapes {
  readonly #render: (messages: readonly ChatMessage[]) => string
  readonly #known = new Map<string, boolean>()

  /** @param render the template's text of a conversation */
  constructor(render: (messages: readonly ChatMessage[]) => string) {
    this.#render = render
  }

  fit(messages: readonly ChatMessage[]): ChatMessage[] {
    return messages.map((message) => this.#fitContent(this.#fitRole(withoutEmptyFields(message))))
  }

  #fitRole(message: ChatMessage): ChatMessage {
    if (message.role !== 'developer' || this.#writes('developer', NEEDLE)) return message
    return { ...message, role: 'system' }
  }

  #fitContent(message: ChatMessage): ChatMessage {
    if (!Array.isArray(message.content) || this.#writes(message.role, parts)) return message
    return withJoinedContent(message)
  }

  /** Whether the template writes the text of such a content where that role has its turn. */
  #writes(role: ChatRole, content: string | readonly TextPart[]): boolean {
    const kind = `${role}, ${typeof content}`
    const known = this.#known.get(kind) ?? this.#tryOut(role, content)
    this.#known.set(kind, known)
    return known
  }

  #tryOut(role: ChatRole, content: string | readonly TextPart[]): boolean {
    try {
      const text = this.#render(conversationWith(role, content))
      // a list that is written as it is has the names of its fields
      return text.includes(NEEDLE) && !text.includes('"type"')
    } catch {
      return false
    }
  }
}

/** A short conversation in which that role may have its turn. */
function conversationWith(role: ChatRole, content: string | readonly TextPart[]): ChatMessage[] {
  const message: ChatMessage = { role, content }
  const question: ChatMessage = { role: 'user', content: '?' }
  if (role === 'user') return [message]
  if (role === 'assistant') return [question, message]
  if (role !== 'tool') return [message, question]
  const call: ToolCall = {
    id: 'call00000',
    type: 'function',
    function: { name: 'f', arguments: {} },
  }
  const asked: ChatMessage = { role: 'assistant', tool_calls: [call] }
  return [question, asked, { ...message, tool_call_id: call.id }]
}

import type { ChatMessage, Model } from 'dotpool'
import type { CallParser } from './call-reader.js'
import { HermesCalls } from './hermes-calls.js'
import { Llama3Calls } from './llama3-calls.js'

const NAME = 'probe'

/** A conversation with a call: what a template makes of it shows how the model was trained to call. */
const conversation: ChatMessage[] = [
  { role: 'user', content: 'probe' },
  {
    role: 'assistant',
    content: '',
    tool_calls: [{ id: 'call00000', type: 'function', function: { name: NAME, arguments: {} } }],
  },
]
const tools = [{ type: 'function' as const, function: { name: NAME, description: NAME } }]

const syntaxes: readonly { shows: RegExp; make: () => CallParser }[] = [
  { shows: /<tool_call>\s*\{\s*"name"\s*:\s*"probe"/, make: () => new HermesCalls() },
  { shows: /\{\s*"name"\s*:\s*"probe"\s*,\s*"parameters"\s*:/, make: () => new Llama3Calls() },
]

const known = new WeakMap<Model, Promise<(() => CallParser) | undefined>>()

/** Makes parsers of the syntax that a model calls functions in; undefined if it is none of those that are known. */
export function callSyntaxOf(model: Model): Promise<(() => CallParser) | undefined> {
  const found = known.get(model) ?? probe(model)
  known.set(model, found)
  return found
}

async function probe({ chatTemplate }: Model): Promise<(() => CallParser) | undefined> {
  if (!chatTemplate.exists) return undefined
  // a template that cannot write calls may refuse them
  const options = { tools, addGenerationPrompt: false }
  const text = await chatTemplate.renderAsync(conversation, options).catch(() => '')
  return syntaxes.find(({ shows }) => shows.test(text))?.make
}

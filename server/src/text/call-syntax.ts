import type { ChatMessage } from 'dotpool'
import {
  anyOf,
  type FormatPart,
  given,
  literal,
  repeat,
  sequenceOf,
} from '../format/format-part.js'
import type { ServedModel } from '../models/served-model.js'
import type { CallParser } from './call-reader.js'
import { CLOSE, HermesCalls, OPEN } from './hermes-calls.js'
import { Llama3Calls } from './llama3-calls.js'
import { oncePerModel } from './once-per-model.js'
import { probeTemplate } from './probe-template.js'

/** How a model was trained to call functions. */
export interface CallSyntax {
  readonly shows: RegExp
  makeParser(): CallParser
  /** @param values the format of the arguments, an object */
  write(name: string, values: FormatPart): FormatPart
  /** What stands between two calls. */
  readonly between: FormatPart
  /** An answer that may call, or may not. */
  inText(call: FormatPart, isOne: boolean): FormatPart
}

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

const hermes: CallSyntax = {
  shows: /<tool_call>\s*\{\s*"name"\s*:\s*"probe"/,
  makeParser: () => new HermesCalls(),
  write: (name, values) => {
    const head = `${OPEN}\n{"name": ${JSON.stringify(name)}, "arguments": `
    return sequenceOf(literal(head), values, literal(`}\n${CLOSE}`))
  },
  between: literal('\n'),
  inText: (call, isOne) => {
    const text = given({ type: 'text', without: OPEN })
    return sequenceOf(text, repeat(sequenceOf(call, text), isOne ? 1 : undefined))
  },
}

const llama3: CallSyntax = {
  shows: /\{\s*"name"\s*:\s*"probe"\s*,\s*"parameters"\s*:/,
  makeParser: () => new Llama3Calls(),
  write: (name, values) => {
    const head = `{"name": ${JSON.stringify(name)}, "parameters": `
    return sequenceOf(literal(head), values, literal('}'))
  },
  between: literal('; '),
  inText: (call, isOne) => {
    // a text that begins as a call does would be one
    const text = given({ type: 'regex', regex: '([^\\s{<][\\s\\S]*)?' })
    const calls = isOne ? call : sequenceOf(call, repeat(sequenceOf(llama3.between, call)))
    return anyOf([text, calls])
  },
}

const syntaxes = [hermes, llama3]

/** The syntax that a model calls functions in; undefined if it is none of those that are known. */
export const callSyntaxOf = oncePerModel(probe)

async function probe({ chatTemplate }: ServedModel): Promise<CallSyntax | undefined> {
  if (!chatTemplate.exists) return undefined
  // a template that cannot write calls may refuse them
  const options = { tools, addGenerationPrompt: false }
  const text = await probeTemplate(chatTemplate, conversation, options)
  return syntaxes.find(({ shows }) => shows.test(text))
}

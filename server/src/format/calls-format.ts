import { refuse } from '../errors.js'
import type { ChatBody, ToolBody } from '../schemas/chat.js'
import type { CallSyntax } from '../text/call-syntax.js'
import { anyOf, type FormatPart, partOf, repeat, sequenceOf } from './format-part.js'

/**
 * The format of an answer that may call functions, where the request says more than that it may: that it must, that it
 * calls one at most, or that the arguments of some follow their schemas.
 *
 * @param syntax undefined where there is nothing to call
 * @param content what an answer without calls is to look like, if anything
 */
export function callsFormat(
  body: ChatBody,
  syntax: CallSyntax | undefined,
  content: FormatPart | undefined,
): FormatPart | undefined {
  const { tools, tool_choice: choice, parallel_tool_calls: areParallel } = body
  const name = typeof choice === 'object' ? choice?.function.name : undefined
  const mustCall = choice === 'required' || name !== undefined
  if (syntax === undefined || !tools?.length) {
    if (mustCall) throw refuse('tool_choice', 'only with `tools`')
    return content
  }
  const calls = tools.flatMap((tool, i) => {
    return name === undefined || tool.function.name === name ? [callFormat(tool, i, syntax)] : []
  })
  if (calls.length === 0) throw refuse('tool_choice', `\`tools\` has no function ${name}`)
  const isOne = name !== undefined || areParallel === false
  const isStrict = tools.some((tool) => tool.function.strict)
  if (!mustCall && content === undefined && !isOne && !isStrict) return undefined
  const call = anyOf(calls)
  if (!mustCall && content === undefined) return syntax.inText(call, isOne)
  const all = isOne ? call : sequenceOf(call, repeat(sequenceOf(syntax.between, call)))
  return mustCall || content === undefined ? all : anyOf([content, all])
}

/** A call of one function. Its arguments are an object, which follows the schema of a function that is strict. */
function callFormat({ function: described }: ToolBody, i: number, syntax: CallSyntax): FormatPart {
  const { name, parameters, strict } = described
  const param = `tools[${i}].function.parameters`
  if (!strict || parameters == null) {
    return syntax.write(name, partOf({ type: 'json_object' }, '', param))
  }
  if (parameters.type !== 'object') {
    throw refuse(`${param}.type`, 'expected "object" for a function that is strict')
  }
  const format = { type: 'json_schema' as const, schema: parameters }
  return syntax.write(name, partOf(format, '.schema', param))
}

import { refuse } from '../errors.js'
import type { ToolBody } from '../schemas/chat.js'
import type { CallSyntax } from '../text/call-syntax.js'
import { anyOf, type FormatPart, partOf, repeat, sequenceOf } from './format-part.js'

/** What a request says of calls. */
export interface CallRules {
  readonly tools: readonly ToolBody[] | null | undefined
  /** Whether to call, or which function. */
  readonly choice: 'none' | 'auto' | 'required' | { readonly name: string } | null | undefined
  /** False: one call at most. */
  readonly areParallel: boolean | null | undefined
  /** The field that a function's parameters come from. */
  readonly parametersField: (tool: number) => string
}

/**
 * The format of an answer that may call functions, where the request says more than that it may: that it must, that it
 * calls one at most, or that the arguments of some follow their schemas.
 *
 * @param syntax undefined where there is nothing to call
 * @param content what an answer without calls is to look like, if anything
 */
export function callsFormat(
  { tools, choice, areParallel, parametersField }: CallRules,
  syntax: CallSyntax | undefined,
  content: FormatPart | undefined,
): FormatPart | undefined {
  const name = typeof choice === 'object' ? choice?.name : undefined
  const mustCall = choice === 'required' || name !== undefined
  if (syntax === undefined || !tools?.length) {
    if (mustCall) throw refuse('tool_choice', 'only with `tools`')
    return content
  }
  const calls = tools.flatMap((tool, i) => {
    const isWanted = name === undefined || tool.function.name === name
    return isWanted ? [callFormat(tool, parametersField(i), syntax)] : []
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
function callFormat(
  { function: described }: ToolBody,
  param: string,
  syntax: CallSyntax,
): FormatPart {
  const { name, parameters, strict } = described
  if (!strict || parameters == null) {
    return syntax.write(name, partOf({ type: 'json_object' }, '', param))
  }
  if (parameters.type !== 'object') {
    throw refuse(`${param}.type`, 'expected "object" for a function that is strict')
  }
  const format = { type: 'json_schema' as const, schema: parameters }
  return syntax.write(name, partOf(format, '.schema', param))
}

import { ArgumentError, checkString, describe } from '../../errors.js'
import { JsonCopier, type JsonObject } from '../json/copy-json.js'
import { isObject } from '../json/fields.js'

/** A function that the model may call, as the chat APIs of servers have it. */
export interface FunctionTool {
  type: 'function'
  function: {
    name: string
    description?: string | undefined
    /** A JSON schema of the arguments. */
    parameters?: object | undefined
    [field: string]: unknown
  }
  [field: string]: unknown
}

/** What a chat template reads beside messages; JSON values, copied at once. */
export interface TemplateInputs {
  /** Functions that the model may call; or objects of the shape that the checkpoint's template wants. */
  tools?: readonly (FunctionTool | object)[] | undefined
  /** Variables of the template by its own names, such as `enable_thinking` or `documents`. */
  templateOptions?: Readonly<Record<string, unknown>> | undefined
}

/** {@link TemplateInputs}, checked, and the caller's no more. */
export interface CheckedInputs {
  readonly tools: readonly JsonObject[] | undefined
  readonly templateOptions: JsonObject
}

/** Variables that the call itself sets, and the arguments that they come from. */
const taken: Readonly<Record<string, string>> = {
  messages: 'messages',
  tools: 'tools',
  add_generation_prompt: 'addGenerationPrompt',
}

/**
 * Checks and copies what a chat template is to read beside messages.
 *
 * @throws ArgumentError naming the place of what is wrong, e.g. `tools[0].function.name`
 */
export function copyTemplateInputs(inputs: TemplateInputs): CheckedInputs {
  const { tools, templateOptions = {} } = inputs
  return {
    tools: tools === undefined ? undefined : copyTools(tools),
    templateOptions: copyVariables(templateOptions),
  }
}

function copyTools(tools: readonly object[]): JsonObject[] {
  if (!Array.isArray(tools)) throw new ArgumentError('tools', 'an array', describe(tools))
  const copies = new JsonCopier().copy(['tools'], tools) as unknown[]
  return copies.map((tool, i) => {
    if (!isObject(tool)) {
      throw new ArgumentError(`tools[${i}]`, "{ type: 'function', function }", describe(tool))
    }
    const isFunction = tool.type === 'function' || 'function' in tool
    if (isFunction) checkFunction(`tools[${i}].function`, tool.function)
    return tool as JsonObject
  })
}

function checkFunction(argument: string, described: unknown): void {
  if (!isObject(described)) {
    throw new ArgumentError(argument, '{ name, description, parameters }', describe(described))
  }
  const { name, description, parameters } = described
  checkString(`${argument}.name`, name)
  checkString(`${argument}.description`, description ?? '')
  if (isObject(parameters ?? {})) return
  throw new ArgumentError(`${argument}.parameters`, 'a JSON schema', describe(parameters))
}

function copyVariables(options: object): JsonObject {
  const variables = new JsonCopier().copy(['templateOptions'], options)
  if (!isObject(variables)) {
    throw new ArgumentError('templateOptions', 'an object', describe(variables))
  }
  for (const [name, argument] of Object.entries(taken)) {
    if (!Object.hasOwn(variables, name)) continue
    const expected = `the argument ${argument} in its place`
    throw new ArgumentError(`templateOptions.${name}`, expected, describe(variables[name]))
  }
  const { documents = null } = variables
  if (documents !== null && !(Array.isArray(documents) && documents.every(isObject))) {
    throw new ArgumentError('templateOptions.documents', 'an array of objects', describe(documents))
  }
  return variables as JsonObject
}

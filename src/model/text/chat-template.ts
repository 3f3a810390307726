import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { ArgumentError, describe, FormatError } from '../../errors.js'
import { Fields, isObject, show } from '../json/fields.js'
import { callStripsWithCharacters } from './strip-characters.js'
import { Refusal, templateGlobals } from './template-globals.js'

const roles = ['system', 'user', 'assistant', 'tool'] as const

/** One turn of a conversation. */
export interface ChatMessage {
  role: (typeof roles)[number]
  content: string
  /** What else the template reads, such as `tool_calls`. */
  [field: string]: unknown
}

export interface RenderOptions {
  /** The text ends where the assistant's answer begins; true by default. */
  addGenerationPrompt?: boolean | undefined
  /** Descriptions of the functions that the model may call, as JSON schemas. */
  tools?: readonly object[] | undefined
  /** Variables that the template reads, by its own names, such as `enable_thinking`. */
  [variable: string]: unknown
}

type Program = Template['parsed']

/** Writes conversations as the text that a model was trained on, by its checkpoint's Jinja template. */
export class ChatTemplate {
  readonly #file: string
  readonly #program: Program | undefined
  readonly #specialTokens: Readonly<Record<string, string>>

  private constructor(
    file: string,
    program: Program | undefined,
    specialTokens: Readonly<Record<string, string>>,
  ) {
    this.#file = file
    this.#program = program
    this.#specialTokens = specialTokens
  }

  /**
   * @param file named in errors
   * @param source the text of chat_template.jinja, or `chat_template` of tokenizer_config.json: a
   *   text, a list of named ones, or nothing; {@link render} refuses then
   * @param specialTokens by the names that the template knows them by, such as `bos_token`
   * @throws FormatError if there is no template in `source`, or it does not parse
   */
  static parse(
    file: string,
    source: unknown,
    specialTokens: Readonly<Record<string, string>>,
  ): ChatTemplate {
    const text = chooseText(file, source)
    const program = text === undefined ? undefined : parseProgram(file, text)
    return new ChatTemplate(file, program, specialTokens)
  }

  /** Whether the checkpoint has one. */
  get exists(): boolean {
    return this.#program !== undefined
  }

  /**
   * The text of a conversation. It spells the special tokens out, so the tokenizer must add none.
   *
   * @param messages at least one
   * @throws ArgumentError naming what is no message or what the template refuses, or if the
   *   checkpoint has no template; FormatError if the template fails
   */
  render(
    messages: readonly ChatMessage[],
    { addGenerationPrompt = true, tools, ...variables }: RenderOptions = {},
  ): string {
    checkMessages(messages)
    if (typeof addGenerationPrompt !== 'boolean') {
      throw new ArgumentError('addGenerationPrompt', 'true or false', describe(addGenerationPrompt))
    }
    if (tools !== undefined && !(Array.isArray(tools) && tools.every(isObject))) {
      throw new ArgumentError('tools', 'an array of objects', describe(tools))
    }
    if (this.#program === undefined) {
      throw new ArgumentError(
        'messages',
        'a checkpoint with a chat template; a plain prompt works without one',
        `none in ${this.#file}`,
      )
    }
    return this.#run(this.#program, {
      ...this.#specialTokens,
      documents: null,
      ...variables,
      tools: tools ?? null,
      messages,
      add_generation_prompt: addGenerationPrompt,
    })
  }

  #run(program: Program, variables: Record<string, unknown>): string {
    const environment = new Environment(templateGlobals)
    for (const [name, value] of Object.entries(variables)) declare(environment, name, value)
    try {
      return String(new Interpreter(environment).run(program).value)
    } catch (error) {
      const { message } = error as Error
      if (error instanceof Refusal) {
        throw new ArgumentError('messages', `what the template in ${this.#file} accepts`, message)
      }
      throw new FormatError(this.#file, `the chat template fails: ${message}`, { cause: error })
    }
  }
}

/** Of several templates, the one for conversations. */
function chooseText(file: string, source: unknown): string | undefined {
  if (source === undefined || source === null) return undefined
  if (typeof source === 'string') return source
  if (!Array.isArray(source)) {
    throw new FormatError(file, `chat_template: expected a text or a list, got ${show(source)}`)
  }
  const entries = source.map((entry) => new Fields(file, entry, 'chat_template').values)
  const template = entries.find(({ name }) => name === 'default')?.template
  if (typeof template === 'string') return template
  throw new FormatError(file, 'chat_template: no text is named "default"')
}

function parseProgram(file: string, text: string): Program {
  try {
    return callStripsWithCharacters(new Template(text).parsed)
  } catch (error) {
    const { message } = error as Error
    throw new FormatError(file, `the chat template does not parse: ${message}`, { cause: error })
  }
}

function checkMessages(messages: unknown): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    const got = Array.isArray(messages) ? 'none' : describe(messages)
    throw new ArgumentError('messages', 'an array of at least one message', got)
  }
  for (const [i, message] of messages.entries()) {
    if (!isObject(message)) {
      throw new ArgumentError(`messages[${i}]`, '{ role, content }', describe(message))
    }
    const { role, content } = message
    if (!roles.some((known) => known === role)) {
      throw new ArgumentError(`messages[${i}].role`, `one of ${roles.join(', ')}`, describe(role))
    }
    if (typeof content !== 'string') {
      throw new ArgumentError(`messages[${i}].content`, 'a string', describe(content))
    }
  }
}

/** The engine copies plain data and functions; it takes no bigint, no symbol and no cycle. */
function declare(environment: Environment, name: string, value: unknown): void {
  try {
    environment.set(name, value)
  } catch {
    throw new ArgumentError(name, 'what a chat template can read', describe(value))
  }
}

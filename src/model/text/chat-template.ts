import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { ArgumentError, describe, FormatError } from '../../errors.js'
import { Fields, isObject, show } from '../json/fields.js'
import { type ChatMessage, checkMessages } from './chat-messages.js'
import { MessageShapes } from './message-shapes.js'
import { rewriteTemplate } from './rewrite-template.js'
import { Refusal, templateGlobals } from './template-globals.js'

export interface RenderOptions {
  /** The text ends where the assistant's answer begins; true by default. */
  addGenerationPrompt?: boolean | undefined
  /** Descriptions of the functions that the model may call, as JSON schemas. */
  tools?: readonly object[] | undefined
  /** Variables that the template reads, by its own names, such as `enable_thinking`. */
  [variable: string]: unknown
}

type Program = Template['parsed']

/** The templates of a checkpoint by name: the one that there always is, and one for when there are tools. */
interface Programs {
  default: Program
  tool_use?: Program | undefined
}

/** Writes conversations as the text that a model was trained on, by its checkpoint's Jinja template. */
export class ChatTemplate {
  readonly #file: string
  readonly #programs: Programs | undefined
  readonly #specialTokens: Readonly<Record<string, string>>
  readonly #shapes = new Map<Program, MessageShapes>()

  private constructor(
    file: string,
    programs: Programs | undefined,
    specialTokens: Readonly<Record<string, string>>,
  ) {
    this.#file = file
    this.#programs = programs
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
    return new ChatTemplate(file, parsePrograms(file, source), specialTokens)
  }

  /** Whether the checkpoint has one. */
  get exists(): boolean {
    return this.#programs !== undefined
  }

  /**
   * The text of a conversation. It spells the special tokens out, so the tokenizer must add none.
   *
   * Messages may have the shapes of the chat APIs of servers; see {@link MessageShapes}.
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
    if (this.#programs === undefined) {
      throw new ArgumentError(
        'messages',
        'a checkpoint with a chat template; a plain prompt works without one',
        `none in ${this.#file}`,
      )
    }
    const { default: plain, tool_use: forTools = plain } = this.#programs
    const program = tools === undefined ? plain : forTools
    return this.#run(program, this.#shapesOf(program).fit(messages), {
      ...variables,
      tools: tools ?? null,
      add_generation_prompt: addGenerationPrompt,
    })
  }

  #shapesOf(program: Program): MessageShapes {
    const shapes =
      this.#shapes.get(program) ??
      new MessageShapes((messages) => this.#run(program, messages, { tools: null }))
    this.#shapes.set(program, shapes)
    return shapes
  }

  #run(
    program: Program,
    messages: readonly ChatMessage[],
    variables: Record<string, unknown>,
  ): string {
    const environment = new Environment(templateGlobals)
    const all = { ...this.#specialTokens, documents: null, ...variables, messages }
    for (const [name, value] of Object.entries(all)) declare(environment, name, value)
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

function parsePrograms(file: string, source: unknown): Programs | undefined {
  if (source === undefined || source === null) return undefined
  if (typeof source === 'string') return { default: parseProgram(file, source) }
  if (!Array.isArray(source)) {
    throw new FormatError(file, `chat_template: expected a text or a list, got ${show(source)}`)
  }
  const entries = source.map((entry) => new Fields(file, entry, 'chat_template').values)
  const textOf = (wanted: string) => entries.find(({ name }) => name === wanted)?.template
  const [plain, forTools] = [textOf('default'), textOf('tool_use')]
  if (typeof plain !== 'string') {
    throw new FormatError(file, 'chat_template: no text is named "default"')
  }
  return {
    default: parseProgram(file, plain),
    tool_use: typeof forTools === 'string' ? parseProgram(file, forTools) : undefined,
  }
}

function parseProgram(file: string, text: string): Program {
  try {
    return rewriteTemplate(new Template(text).parsed)
  } catch (error) {
    const { message } = error as Error
    throw new FormatError(file, `the chat template does not parse: ${message}`, { cause: error })
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

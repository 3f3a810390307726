import { Environment, Template } from '@huggingface/jinja'
import { ArgumentError, FormatError } from '../../../errors.js'
import { Fields, show } from '../../json/fields.js'
import type { ChatMessage } from '../chat-messages.js'
import { BoundedInterpreter, findWriters } from './bounded-interpreter.js'
import { MessageShapes } from './message-shapes.js'
import { rewriteTemplate } from './rewrite-template.js'
import type { TextRequests } from './service.js'
import { Refusal, templateGlobals } from './template-globals.js'

/** A template, parsed. */
interface Program {
  readonly root: Template['parsed']
  readonly writers: WeakSet<object>
}

/** The templates of a checkpoint by name: the one that there always is, and one for when there are tools. */
interface Programs {
  default: Program
  tool_use?: Program | undefined
}

/** A checkpoint's Jinja template, parsed. */
export class JinjaTemplate {
  readonly #file: string
  readonly #programs: Programs
  readonly #specialTokens: Readonly<Record<string, string>>
  readonly #shapes = new Map<Program, MessageShapes>()

  private constructor(
    file: string,
    programs: Programs,
    specialTokens: Readonly<Record<string, string>>,
  ) {
    this.#file = file
    this.#programs = programs
    this.#specialTokens = specialTokens
  }

  /**
   * @param file named in errors
   * @param source the text of chat_template.jinja, or `chat_template` of tokenizer_config.json: a
   *   text, or a list of named ones
   * @param specialTokens by the names that the template knows them by, such as `bos_token`
   * @throws FormatError if there is no template in `source`, or it does not parse
   */
  static parse(
    file: string,
    source: unknown,
    specialTokens: Readonly<Record<string, string>>,
  ): JinjaTemplate {
    return new JinjaTemplate(file, parsePrograms(file, source), specialTokens)
  }

  /**
   * The text of a conversation. Messages may have the shapes that {@link MessageShapes} knows.
   *
   * @throws ArgumentError for what the template refuses; FormatError if it fails
   */
  render({ messages, addGenerationPrompt, tools, variables }: TextRequests['render']): string {
    const { default: plain, tool_use: forTools = plain } = this.#programs
    const program = tools === null ? plain : forTools
    return this.#run(program, this.#shapesOf(program).fit(messages), {
      ...variables,
      tools,
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
    for (const [name, value] of Object.entries(all)) {
      environment.variables.delete(name) // of functions that there are
      environment.set(name, value)
    }
    try {
      return String(new BoundedInterpreter(environment, program.writers).run(program.root).value)
    } catch (error) {
      const { message } = error as Error
      if (error instanceof Refusal) {
        throw new ArgumentError('messages', `what the template in ${this.#file} accepts`, message)
      }
      throw new FormatError(this.#file, `the chat template fails: ${message}`, { cause: error })
    }
  }
}

function parsePrograms(file: string, source: unknown): Programs {
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
    const root = rewriteTemplate(new Template(text).parsed)
    return { root, writers: findWriters(root) }
  } catch (error) {
    const { message } = error as Error
    throw new FormatError(file, `the chat template does not parse: ${message}`, { cause: error })
  }
}

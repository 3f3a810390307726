import { ArgumentError, checkInteger, describe } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { JsonCopier } from '../json/copy-json.js'

/** What a text is to look like: only tokens are sampled that keep it so, and it ends only where it is complete. */
export type ResponseFormat =
  | TextFormat
  | JsonFormat
  | JsonSchemaFormat
  | RegexFormat
  | GrammarFormat
  | ChoiceFormat
  | SequenceFormat
  | AnyOfFormat
  | RepeatFormat

/** Any text. */
export interface TextFormat {
  readonly type: 'text'
  /** The text does not contain this. */
  readonly without?: string | undefined
}

/** A JSON object. */
export interface JsonFormat {
  readonly type: 'json_object'
}

/** A JSON value that is valid by a JSON Schema (2020-12). A keyword that cannot be enforced is refused. */
export interface JsonSchemaFormat {
  readonly type: 'json_schema'
  readonly schema: boolean | Readonly<Record<string, unknown>>
}

/** What a regular expression of ECMAScript matches as a whole. */
export interface RegexFormat {
  readonly type: 'regex'
  readonly regex: string
}

/** What the rule `root` of a grammar admits, in the EBNF of llama.cpp (GBNF) and XGrammar. */
export interface GrammarFormat {
  readonly type: 'grammar'
  readonly grammar: string
}

/** One of some texts. */
export interface ChoiceFormat {
  readonly type: 'choice'
  readonly choices: readonly string[]
}

/** One format after the other. */
export interface SequenceFormat {
  readonly type: 'sequence'
  readonly formats: readonly ResponseFormat[]
}

/** Any one of some formats. */
export interface AnyOfFormat {
  readonly type: 'any_of'
  readonly formats: readonly ResponseFormat[]
}

/** A format, several times. */
export interface RepeatFormat {
  readonly type: 'repeat'
  readonly format: ResponseFormat
  /** 0 by default. */
  readonly min?: number | undefined
  /** No bound by default. */
  readonly max?: number | undefined
}

/** What each type has beside its type. */
const fields: {
  readonly [Type in ResponseFormat['type']]: OptionNames<ResponseFormat & { type: Type }>
} = {
  text: { type: true, without: true },
  json_object: { type: true },
  json_schema: { type: true, schema: true },
  regex: { type: true, regex: true },
  grammar: { type: true, grammar: true },
  choice: { type: true, choices: true },
  sequence: { type: true, formats: true },
  any_of: { type: true, formats: true },
  repeat: { type: true, format: true, min: true, max: true },
}

/** Repetitions that a format may ask for. */
const MAX_REPEATS = 10_000

/**
 * A copy of what a caller gave, who may change theirs; undefined for any text. What schemas, expressions and grammars
 * say is checked later, for it takes time.
 *
 * @throws ArgumentError naming what is wrong
 */
export function copyResponseFormat(format: unknown): ResponseFormat | undefined {
  if (format === undefined) return undefined
  const copy: unknown = new JsonCopier().copy(['responseFormat'], format)
  check('responseFormat', copy)
  return copy.type === 'text' && copy.without === undefined ? undefined : copy
}

function check(argument: string, format: unknown): asserts format is ResponseFormat {
  const types = Object.keys(fields)
  if (typeof format !== 'object' || format === null || Array.isArray(format)) {
    throw new ArgumentError(argument, 'an object with a type', describe(format))
  }
  const given = format as ResponseFormat
  if (!types.includes(given.type)) {
    throw new ArgumentError(`${argument}.type`, `one of ${types.join(', ')}`, describe(given.type))
  }
  checkOptions<ResponseFormat>(given, fields[given.type] as OptionNames<ResponseFormat>, argument)
  switch (given.type) {
    case 'text':
      if (given.without !== undefined) checkText(`${argument}.without`, given.without)
      break
    case 'json_schema':
      checkSchema(`${argument}.schema`, given.schema)
      break
    case 'regex':
      checkText(`${argument}.regex`, given.regex)
      break
    case 'grammar':
      checkText(`${argument}.grammar`, given.grammar)
      break
    case 'choice':
      checkArray(`${argument}.choices`, given.choices, 'an array of texts, at least one')
      for (const [i, choice] of given.choices.entries()) {
        checkText(`${argument}.choices[${i}]`, choice)
      }
      break
    case 'sequence':
    case 'any_of':
      checkArray(`${argument}.formats`, given.formats, 'an array of formats, at least one')
      for (const [i, inner] of given.formats.entries()) check(`${argument}.formats[${i}]`, inner)
      break
    case 'repeat': {
      const { min = 0, max = MAX_REPEATS } = given
      checkInteger(`${argument}.min`, min, 0, MAX_REPEATS)
      checkInteger(`${argument}.max`, max, Math.max(1, min), MAX_REPEATS)
      check(`${argument}.format`, given.format)
    }
  }
}

function checkText(argument: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return
  throw new ArgumentError(argument, 'a text that is not empty', describe(value))
}

function checkArray(argument: string, value: unknown, expected: string): void {
  if (Array.isArray(value) && value.length > 0) return
  throw new ArgumentError(argument, expected, describe(value))
}

function checkSchema(argument: string, value: unknown): void {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject && typeof value !== 'boolean') {
    throw new ArgumentError(argument, 'a JSON Schema', describe(value))
  }
}

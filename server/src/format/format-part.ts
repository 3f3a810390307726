import { ArgumentError, type ResponseFormat } from 'dotpool'
import { refuse } from '../errors.js'

/** A format, or a part of one, and the fields of a request that it comes from. */
export interface FormatPart {
  readonly format: ResponseFormat
  /** Where in the format what comes from a field begins, such as `.schema`. */
  readonly origins: readonly { readonly path: string; readonly param: string }[]
}

/** What comes from one field as a whole. */
export function partOf(format: ResponseFormat, path: string, param: string): FormatPart {
  return { format, origins: [{ path, param }] }
}

/** What no field says. */
export function given(format: ResponseFormat): FormatPart {
  return { format, origins: [] }
}

export function literal(text: string): FormatPart {
  return given({ type: 'choice', choices: [text] })
}

export function sequenceOf(...parts: readonly FormatPart[]): FormatPart {
  return together(parts, (formats) => ({ type: 'sequence', formats }))
}

export function anyOf(parts: readonly FormatPart[]): FormatPart {
  return parts.length === 1 ? parts[0] : together(parts, (formats) => ({ type: 'any_of', formats }))
}

export function repeat(part: FormatPart, max?: number): FormatPart {
  const origins = part.origins.map(({ path, param }) => ({ path: `.format${path}`, param }))
  return { format: { type: 'repeat', format: part.format, max }, origins }
}

function together(
  parts: readonly FormatPart[],
  join: (formats: ResponseFormat[]) => ResponseFormat,
): FormatPart {
  return {
    format: join(parts.map(({ format }) => format)),
    origins: parts.flatMap(({ origins }, i) =>
      origins.map(({ path, param }) => ({ path: `.formats[${i}]${path}`, param })),
    ),
  }
}

/** What a client is told of an error, by the field that a part of the format comes from. */
export function explain({ origins }: FormatPart, error: unknown): unknown {
  if (!(error instanceof ArgumentError) || !error.argument.startsWith(ARGUMENT)) return error
  const path = error.argument.slice(ARGUMENT.length)
  const within = origins.filter((origin) => path.startsWith(origin.path))
  const [origin] = within.sort((a, b) => b.path.length - a.path.length)
  // what is wrong with the whole, such as its size, has no part
  const whole = origins[0]?.param ?? 'response_format'
  const param = origin === undefined ? whole : origin.param + path.slice(origin.path.length)
  return refuse(param, `expected ${error.expected}, got ${error.got}`)
}

const ARGUMENT = 'responseFormat'

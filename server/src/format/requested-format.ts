import { refuse } from '../errors.js'
import type { GenerationBody } from '../schemas/common.js'
import type { ResponseBody } from '../schemas/responses.js'
import { type FormatPart, partOf } from './format-part.js'

/** The format that a completion asks for: by `response_format`, or by `structured_outputs` as vLLM has it. */
export function requestedFormat(body: GenerationBody): FormatPart | undefined {
  const { type, json_schema: described } = body.response_format ?? { type: 'text' }
  const field = 'response_format'
  if ((described != null) !== (type === 'json_schema')) {
    throw refuse(`${field}.json_schema`, 'with `type: "json_schema"`, and only then')
  }
  return either(body, {
    type,
    schema: described?.schema,
    field,
    schemaField: `${field}.json_schema.schema`,
  })
}

/** The format that a response asks for: by `text.format`, or by `structured_outputs`. */
export function requestedTextFormat(body: ResponseBody): FormatPart | undefined {
  const { type, schema } = body.text?.format ?? { type: 'text' }
  const schemaField = 'text.format.schema'
  if ((schema != null) !== (type === 'json_schema')) {
    throw refuse(schemaField, 'with `type: "json_schema"`, and only then')
  }
  return either(body, { type, schema, field: 'text.format', schemaField })
}

interface Asked {
  readonly type: 'text' | 'json_object' | 'json_schema'
  readonly schema: Record<string, unknown> | null | undefined
  /** The fields that they come from. */
  readonly field: string
  readonly schemaField: string
}

function either(
  { structured_outputs: structured }: Pick<GenerationBody, 'structured_outputs'>,
  { type, schema, field, schemaField }: Asked,
): FormatPart | undefined {
  if (type === 'text') return fromStructuredOutputs(structured)
  if (structured != null) throw refuse('structured_outputs', `only without \`${field}\``)
  if (schema == null) return partOf({ type: 'json_object' }, '', field)
  return partOf({ type: 'json_schema', schema }, '.schema', schemaField)
}

function fromStructuredOutputs(
  asked: GenerationBody['structured_outputs'],
): FormatPart | undefined {
  if (asked == null) return undefined
  const { json, json_object: anyJson, regex, choice, grammar } = asked
  const param = (field: string) => `structured_outputs.${field}`
  const parts: FormatPart[] = []
  if (json != null) {
    const schema = typeof json === 'string' ? parse(json, param('json')) : json
    parts.push(partOf({ type: 'json_schema', schema }, '.schema', param('json')))
  }
  if (anyJson) parts.push(partOf({ type: 'json_object' }, '', param('json_object')))
  if (regex != null) parts.push(partOf({ type: 'regex', regex }, '.regex', param('regex')))
  if (choice != null) {
    parts.push(partOf({ type: 'choice', choices: choice }, '.choices', param('choice')))
  }
  if (grammar != null) {
    parts.push(partOf({ type: 'grammar', grammar }, '.grammar', param('grammar')))
  }
  if (parts.length === 1) return parts[0]
  const problem = 'one of `json`, `json_object`, `regex`, `choice` and `grammar`'
  throw refuse('structured_outputs', problem)
}

function parse(json: string, param: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch {
    // refused below
  }
  throw refuse(param, 'a JSON schema, or the JSON of one')
}

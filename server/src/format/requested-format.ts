import { refuse } from '../errors.js'
import type { GenerationBody } from '../schemas/common.js'
import { type FormatPart, partOf } from './format-part.js'

/** The format that a request asks for: by `response_format`, or by `structured_outputs` as vLLM has it. */
export function requestedFormat(body: GenerationBody): FormatPart | undefined {
  const asked = fromResponseFormat(body)
  const structured = fromStructuredOutputs(body)
  if (asked !== undefined && structured !== undefined) {
    throw refuse('structured_outputs', 'only without `response_format`')
  }
  return asked ?? structured
}

function fromResponseFormat({ response_format: asked }: GenerationBody): FormatPart | undefined {
  if (asked == null) return undefined
  const { type, json_schema: described } = asked
  if ((described != null) !== (type === 'json_schema')) {
    throw refuse('response_format.json_schema', 'with `type: "json_schema"`, and only then')
  }
  if (type === 'json_object') return partOf({ type }, '', 'response_format')
  if (described == null) return undefined
  const { schema } = described
  return partOf({ type: 'json_schema', schema }, '.schema', 'response_format.json_schema.schema')
}

function fromStructuredOutputs({ structured_outputs: asked }: GenerationBody) {
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

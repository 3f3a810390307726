import { ApiError } from '../errors.js'
import { type BatchError, type Endpoint, endpoints } from '../schemas/batches.js'
import type { InputLine } from './input-lines.js'

/** A request of a batch. */
export interface BatchLine {
  /** Of the line in the input file, from 1. */
  readonly number: number
  /** Where the line lies in the input file, bytes. */
  readonly offset: number
  readonly bytes: number
  readonly customId: string
  readonly endpoint: Endpoint
  /** The name of the model that it asks. */
  readonly model: string
  readonly body: object
}

/** A line is not what a batch can run. */
export class LineError extends Error {
  readonly error: BatchError

  constructor(line: number, code: string, param: string | null, message: string) {
    super(message)
    this.name = 'LineError'
    this.error = { code, message, param, line }
  }
}

/** Reads the lines of one input file as requests, and tells what is wrong by the codes of OpenAI's API. */
export class LineReader {
  readonly #endpoint: Endpoint
  readonly #nameOf: (model: string | null | undefined) => string
  readonly #customIds = new Set<string>()

  /** @param nameOf the name of a model that is asked for; throws an ApiError where there is none */
  constructor(endpoint: Endpoint, nameOf: (model: string | null | undefined) => string) {
    this.#endpoint = endpoint
    this.#nameOf = nameOf
  }

  /** @throws LineError */
  read({ number, offset, bytes, text, problem = '' }: InputLine): BatchLine {
    const fail = (code: string, param: string | null, message: string): never => {
      throw new LineError(number, code, param, message)
    }
    if (text === undefined) return fail('invalid_line', null, problem)
    const fields = parse(text) ?? fail('invalid_json_line', null, 'This line is not a JSON object.')
    for (const name of ['custom_id', 'method', 'url', 'body']) {
      if (fields[name] == null) {
        fail('missing_required_parameter', name, `Missing required parameter: '${name}'.`)
      }
    }
    const unknown = Object.keys(fields).find((name) => !known.has(name))
    if (unknown !== undefined) {
      fail('unknown_parameter', unknown, `Unknown parameter: '${unknown}'.`)
    }
    const { custom_id: customId, method, url, body } = fields
    if (typeof customId !== 'string' || customId === '') {
      return fail('invalid_type', 'custom_id', "'custom_id' must be a text that is not empty.")
    }
    if (this.#customIds.has(customId)) {
      fail('duplicate_custom_id', 'custom_id', `Another line has the custom_id '${customId}'.`)
    }
    this.#customIds.add(customId)
    if (method !== 'POST') fail('invalid_method', 'method', "'method' must be 'POST'.")
    const endpoint = endpoints.find((one) => one === url)
    if (endpoint === undefined) {
      return fail('invalid_url', 'url', `'url' must be one of ${endpoints.join(', ')}.`)
    }
    if (endpoint !== this.#endpoint) {
      fail('mismatched_url', 'url', `'url' must be the batch's endpoint, ${this.#endpoint}.`)
    }
    if (!isObject(body)) return fail('invalid_type', 'body', "'body' must be an object.")
    if (body.stream) fail('invalid_value', 'body.stream', 'A batch cannot stream its answers.')
    const model = this.#modelOf(number, body.model)
    return { number, offset, bytes, customId, endpoint, model, body }
  }

  #modelOf(line: number, model: unknown): string {
    if (model != null && typeof model !== 'string') {
      throw new LineError(line, 'invalid_type', 'body.model', "'body.model' must be a text.")
    }
    try {
      return this.#nameOf(model)
    } catch (error) {
      // which models there are is not known now
      if (!(error instanceof ApiError) || error.statusCode !== 404) throw error
      throw new LineError(line, error.code ?? 'model_not_found', 'body.model', error.message)
    }
  }
}

const known = new Set(['custom_id', 'method', 'url', 'body'])

/** Undefined where it is no object. */
function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

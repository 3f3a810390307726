import {
  ArgumentError,
  DeadlineError,
  DisposedError,
  FormatError,
  NoTokenError,
  OutOfMemoryError,
  PoolBrokenError,
  PoolClosedError,
  QueueFullError,
  WorkerDiedError,
} from 'dotpool'

/** What a client is told, in the shape that OpenAI's API has. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null }
}

export interface ApiErrorDetails {
  /** The field of the request that is wrong, such as `messages[0].role`. */
  readonly param?: string | undefined
  /** For programs to read. */
  readonly code?: string | undefined
  /** When to try again. */
  readonly retryAfterSeconds?: number | undefined
  /** Why, for the log. */
  readonly cause?: unknown
}

/** An error that a client is told of by its status. */
export class ApiError extends Error {
  readonly statusCode: number
  readonly param: string | undefined
  readonly code: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(statusCode: number, message: string, details: ApiErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.name = 'ApiError'
    this.statusCode = statusCode
    this.param = details.param
    this.code = details.code
    this.retryAfterSeconds = details.retryAfterSeconds
  }

  get body(): ErrorBody {
    const { message, param = null, code = null } = this
    return { error: { message, type: typeOf(this.statusCode), param, code } }
  }
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 404) return 'not_found_error'
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

/** A field has a value that is refused. */
export function refuse(param: string, problem: string, code?: string): ApiError {
  return new ApiError(400, `${param}: ${problem}`, { param, code })
}

/** The server ends, or is not ready yet. */
export function unavailable(message: string): ApiError {
  return new ApiError(503, message, { code: 'unavailable', retryAfterSeconds: 5 })
}

/** What a client has to know of an error; of one that it can do nothing about, that there was one. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof ArgumentError) return fromArgument(error)
  if (error instanceof NoTokenError) return refuse('logit_bias', error.message)
  // a template or tokenizer pattern that came to no good end on this text
  if (error instanceof FormatError || error instanceof DeadlineError) {
    return new ApiError(400, error.message, { code: 'unprocessable_prompt' })
  }
  if (error instanceof QueueFullError) {
    const { limit, unit } = error
    return new ApiError(429, `as many ${unit} are waiting as may, ${limit}; try again later`, {
      code: 'rate_limit_exceeded',
    })
  }
  if (temporary.some((kind) => error instanceof kind)) return unavailable((error as Error).message)
  return fromFastify(error) ?? new ApiError(500, 'the server failed', { code: 'internal_error' })
}

const temporary = [
  DisposedError,
  OutOfMemoryError,
  PoolBrokenError,
  PoolClosedError,
  WorkerDiedError,
]

/** The library's arguments, as requests call them. */
function fromArgument({ argument, expected, got }: ArgumentError): ApiError {
  const [name, ...rest] = argument.split(/(?=[.[])/)
  const param = `${fields[name] ?? toSnakeCase(name)}${rest.join('')}`
  return refuse(param, `expected ${expected}, got ${got}`)
}

const fields: Readonly<Record<string, string>> = {
  templateOptions: 'chat_template_kwargs',
  ids: 'tokens',
  texts: 'input',
  ignoreEnd: 'ignore_eos',
}

function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

interface FastifyFailure {
  statusCode?: unknown
  message: string
  code?: unknown
  validation?: readonly ValidationProblem[]
}

interface ValidationProblem {
  keyword: string
  instancePath: string
  message?: string
  params?: { allowedValue?: unknown; allowedValues?: readonly unknown[] }
}

function fromFastify(error: unknown): ApiError | undefined {
  if (!(error instanceof Error)) return undefined
  const { statusCode, message, validation } = error as FastifyFailure & Error
  if (validation !== undefined) return fromValidation(validation)
  const isClients = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  return isClients ? new ApiError(statusCode, message) : undefined
}

/** Names the field. */
function fromValidation(problems: readonly ValidationProblem[]): ApiError {
  // the schema of fields that there are not is `false`
  const unknown = problems.find(({ keyword }) => keyword === 'boolean')
  if (unknown !== undefined) {
    const problem = 'this field is not supported'
    return refuse(toParam(unknown.instancePath), problem, 'unsupported_parameter')
  }
  const depth = ({ instancePath }: ValidationProblem) => instancePath.split('/').length
  // of what is wrong by several alternatives, where it is nearest to right by one
  const deepest = problems.reduce((a, b) => (depth(b) > depth(a) ? b : a))
  const { instancePath } = deepest
  const message = tellProblem(deepest)
  if (instancePath === '') return new ApiError(400, `the body ${message}`)
  return refuse(toParam(instancePath), message)
}

function tellProblem({
  keyword,
  message = 'is not valid',
  params = {},
}: ValidationProblem): string {
  if (keyword === 'const') return `must be ${JSON.stringify(params.allowedValue)}`
  if (keyword !== 'enum') return message
  return `must be one of ${params.allowedValues?.map((value) => JSON.stringify(value)).join(', ')}`
}

/** `/messages/0/role` as `messages[0].role`. */
function toParam(pointer: string): string {
  const [, ...keys] = pointer.split('/')
  return keys
    .map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '')
}

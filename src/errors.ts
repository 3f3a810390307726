/** Every error that dotpool throws on purpose is one of these; `code` is stable across releases. */
export class DotpoolError extends Error {
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** An argument is not what the call needs. Thrown before any work starts. */
export class ArgumentError extends DotpoolError {
  readonly argument: string
  readonly expected: string
  readonly got: string

  /**
   * @param argument name of the argument, as the signature spells it
   * @param expected what the call needs, e.g. `a multiple of 64`
   * @param got what came, e.g. `length 100`
   */
  constructor(argument: string, expected: string, got: string) {
    super('ERR_DOTPOOL_ARGUMENT', `${argument}: expected ${expected}, got ${got}`)
    this.argument = argument
    this.expected = expected
    this.got = got
  }
}

/** The object was disposed of, so its memory may be gone. */
export class DisposedError extends DotpoolError {
  constructor(what: string) {
    super('ERR_DOTPOOL_DISPOSED', `${what} was disposed of; create a new one`)
  }
}

/** The pool was closed, before or during the call. */
export class PoolClosedError extends DotpoolError {
  constructor() {
    super('ERR_DOTPOOL_POOL_CLOSED', 'the pool is closed; create a new one with Pool.create()')
  }
}

/** Too many calls wait at once. Await some of them before making more. */
export class QueueFullError extends DotpoolError {
  constructor(limit: number) {
    super(
      'ERR_DOTPOOL_QUEUE_FULL',
      `${limit} calls are waiting already; await some of them before making more`,
    )
  }
}

/** A worker thread died while it ran the call. The pool replaces it and serves the next call. */
export class WorkerDiedError extends DotpoolError {
  constructor(cause: unknown) {
    super('ERR_DOTPOOL_WORKER_DIED', 'a worker thread died during the call; try again', { cause })
  }
}

/** Worker threads die again and again, so the pool cannot serve any call. */
export class PoolBrokenError extends DotpoolError {
  constructor(cause: unknown) {
    super('ERR_DOTPOOL_POOL_BROKEN', `worker threads cannot work: ${String(cause)}`, { cause })
  }
}

/** The network's numbers have run out of hand, e.g. because a weight is broken. */
export class NotANumberError extends DotpoolError {
  /** @param what which numbers; @param position of the id whose they are */
  constructor(what: string, position: number) {
    super('ERR_DOTPOOL_NOT_A_NUMBER', `${what} at position ${position} are not all numbers`)
  }
}

/** A file is not what its format says. `file` names it, the message says where it breaks. */
export class FormatError extends DotpoolError {
  readonly file: string

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super('ERR_DOTPOOL_FORMAT', `${file}: ${problem}`, options)
    this.file = file
  }
}

/**
 * Work on a text did not come to an end in time, as a chat template's loops or a tokenizer's patterns may not. Other
 * calls are not touched.
 */
export class DeadlineError extends DotpoolError {
  readonly file: string

  /** @param file that says how to do it; @param work what took too long; @param remedy what to do instead */
  constructor(file: string, work: string, remedy: string) {
    super('ERR_DOTPOOL_DEADLINE', `${file}: ${work} takes too long and was ended; ${remedy}`)
    this.file = file
  }
}

/** Describes a value for the `got` of an {@link ArgumentError}, in a few words. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (ArrayBuffer.isView(value)) {
    const length = 'length' in value ? value.length : value.byteLength
    return `${value.constructor.name}(${String(length)})`
  }
  if (typeof value === 'object') return value.constructor?.name ?? 'object'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** Throws an {@link ArgumentError} unless `signal` is an AbortSignal, or left out. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ArgumentError('signal', 'an AbortSignal', describe(signal))
  }
}

/** Throws an {@link ArgumentError} unless `value` is an integer in [min, max]. */
export function checkInteger(argument: string, value: unknown, min: number, max: number): void {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw new ArgumentError(argument, `an integer in [${min}, ${max}]`, describe(value))
  }
}

import { kindOf, lengthOf } from './views.js'

/** What went wrong, for programs to read. docs/errors.md lists every code with its remedy. */
export type ErrorCode =
  | 'ERR_DOTPOOL_ARGUMENT'
  | 'ERR_DOTPOOL_DEADLINE'
  | 'ERR_DOTPOOL_DISPOSED'
  | 'ERR_DOTPOOL_FORMAT'
  | 'ERR_DOTPOOL_INTERNAL'
  | 'ERR_DOTPOOL_NO_KERNELS'
  | 'ERR_DOTPOOL_NO_TOKEN'
  | 'ERR_DOTPOOL_NOT_A_NUMBER'
  | 'ERR_DOTPOOL_OUT_OF_MEMORY'
  | 'ERR_DOTPOOL_POOL_BROKEN'
  | 'ERR_DOTPOOL_POOL_CLOSED'
  | 'ERR_DOTPOOL_QUEUE_FULL'
  | 'ERR_DOTPOOL_WORKER_DIED'

/** Every error that dotpool throws on purpose is one of these; `code` is stable across releases. */
export class DotpoolError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/**
 * An argument is not what the call needs. Thrown before any work starts.
 *
 * It is not a TypeError: a class has one base, and this one is a {@link DotpoolError}, because it also reports values
 * out of range and missing files. `argument` and `code` tell it apart.
 */
export class ArgumentError extends DotpoolError {
  readonly argument: string
  readonly expected: string
  readonly got: string

  /**
   * @param argument name of the argument, as the signature spells it
   * @param expected what the call needs, such as `a multiple of 64`
   * @param got what was passed, such as `length 100`
   */
  constructor(argument: string, expected: string, got: string) {
    super('ERR_DOTPOOL_ARGUMENT', `${argument}: expected ${expected}, got ${got}`)
    this.argument = argument
    this.expected = expected
    this.got = got
  }
}

/** The object was disposed of, so its memory may have been released. */
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

/** Too many calls are waiting. Await some of them before making more. */
export class QueueFullError extends DotpoolError {
  readonly limit: number
  readonly unit: 'calls' | 'requests' | 'tokens of prompts'

  /** @param limit how much may wait; @param unit of what */
  constructor(limit: number, unit: QueueFullError['unit'] = 'calls') {
    super(
      'ERR_DOTPOOL_QUEUE_FULL',
      `as many ${unit} are waiting as may, ${limit}; await some of them before making more`,
    )
    this.limit = limit
    this.unit = unit
  }
}

/** A worker thread died while it ran the call. The pool replaces it and serves the next call. */
export class WorkerDiedError extends DotpoolError {
  constructor(cause: unknown) {
    super('ERR_DOTPOOL_WORKER_DIED', 'a worker thread died during the call; try again', { cause })
  }
}

/** Worker threads die repeatedly, or cannot be started, so the pool can run no calls. */
export class PoolBrokenError extends DotpoolError {
  constructor(cause: unknown) {
    super('ERR_DOTPOOL_POOL_BROKEN', `worker threads cannot run: ${String(cause)}`, { cause })
  }
}

/** The network computed NaN, for example because a weight is broken. */
export class NotANumberError extends DotpoolError {
  /** @param what the numbers that contain it; @param position of their token */
  constructor(what: string, position: number) {
    const problem = `the ${what} at position ${position} contain NaN`
    super('ERR_DOTPOOL_NOT_A_NUMBER', `${problem}; check the weights, and what processors write`)
  }
}

/** No token can be sampled: logits processors, biases and the response format together have left none. */
export class NoTokenError extends DotpoolError {
  /** @param position of the token that was to be sampled */
  constructor(position: number) {
    const problem = `no token can be sampled at position ${position}: all logits are -Infinity`
    super(
      'ERR_DOTPOOL_NO_TOKEN',
      `${problem}; let processors and biases leave one that the response format admits`,
    )
  }
}

/** Memory could not be allocated. Close or dispose of what is not needed, or ask for less. */
export class OutOfMemoryError extends DotpoolError {
  constructor(byteLength: number, cause: unknown) {
    const remedy = 'dispose of what is not needed, or ask for less'
    super('ERR_DOTPOOL_OUT_OF_MEMORY', `cannot allocate ${byteLength} bytes; ${remedy}`, { cause })
  }
}

/** A bug in dotpool, found before it could do harm. */
export class InternalError extends DotpoolError {
  constructor(problem: string) {
    super('ERR_DOTPOOL_INTERNAL', `${problem}: this is a bug in dotpool, please report it`)
  }
}

/** A file breaks its format. `file` names it, `problem` says where and how. */
export class FormatError extends DotpoolError {
  readonly file: string
  readonly problem: string

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super('ERR_DOTPOOL_FORMAT', `${file}: ${problem}`, options)
    this.file = file
    this.problem = problem
  }
}

/**
 * Work on a text took too long and was ended: a chat template that loops, or a tokenizer's pattern that backtracks.
 * Other calls are not affected.
 */
export class DeadlineError extends DotpoolError {
  readonly file: string

  /** @param file that defines the work; @param work what took too long; @param remedy what to do instead */
  constructor(file: string, work: string, remedy: string) {
    super('ERR_DOTPOOL_DEADLINE', `${file}: ${work} took too long and was ended; ${remedy}`)
    this.file = file
  }
}

/** Describes a value in a few words, for the `got` of an {@link ArgumentError}. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  const kind = kindOf(value)
  if (kind !== undefined) return `${kind}(${lengthOf(value)})`
  if (typeof value === 'object') return classOf(value)
  return typeof value === 'function' ? 'a function' : String(value)
}

/** The name of an object's class, whatever it has for a `constructor`. */
function classOf(value: object): string {
  try {
    const { name } = value.constructor
    return typeof name === 'string' ? name : 'object'
  } catch {
    return 'object'
  }
}

/** Throws an {@link ArgumentError} unless `value` is an AbortSignal or undefined. */
export function checkSignal(argument: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw new ArgumentError(argument, 'an AbortSignal', describe(value))
  }
}

/** Throws an {@link ArgumentError} unless `value` is a function or undefined. */
export function checkCallback(argument: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw new ArgumentError(argument, 'a function', describe(value))
  }
}

/** Throws an {@link ArgumentError} unless `value` is a boolean or undefined. */
export function checkBoolean(argument: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new ArgumentError(argument, 'true or false', describe(value))
  }
}

/** Throws an {@link ArgumentError} unless `value` is a string. */
export function checkString(argument: string, value: unknown): void {
  if (typeof value !== 'string') throw new ArgumentError(argument, 'a string', describe(value))
}

/** Returns the length of an array-like value; throws an {@link ArgumentError} if it has no valid length. */
export function checkList(argument: string, value: unknown, expected = 'an array'): number {
  const length = readLength(value)
  if (typeof length === 'number' && Number.isSafeInteger(length) && length >= 0) return length
  throw new ArgumentError(argument, expected, describe(value))
}

/** The `length` of a value; undefined if reading it throws, as proxies of typed arrays do. */
function readLength(value: unknown): unknown {
  try {
    return (value as ArrayLike<unknown>).length
  } catch {
    return undefined
  }
}

/** Throws an {@link ArgumentError} unless `value` can be the path of a file or folder. */
export function checkPath(argument: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value.includes('\0')) {
    throw new ArgumentError(argument, 'a path', describe(value))
  }
}

/**
 * Copies an array and checks its items. The caller can change the original as soon as the call has returned.
 *
 * @param expected what the items should be
 * @throws ArgumentError if `isFine` is false for an item
 */
export function copyArray<Item>(
  argument: string,
  items: readonly Item[],
  expected: string,
  isFine: (item: Item) => boolean,
): Item[] {
  if (!Array.isArray(items)) throw new ArgumentError(argument, 'an array', describe(items))
  const copy: Item[] = [...items]
  const bad = copy.findIndex((item) => !isFine(item))
  if (bad < 0) return copy
  throw new ArgumentError(argument, expected, `${describe(copy[bad])} at index ${bad}`)
}

/** Throws an {@link ArgumentError} unless `value` is an integer in [min, max]. */
export function checkInteger(argument: string, value: unknown, min: number, max: number): void {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw new ArgumentError(argument, `an integer in [${min}, ${max}]`, describe(value))
  }
}

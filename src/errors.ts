import { kindOf, lengthOf } from './views.js'

/** What went wrong, for programs. docs/errors.md lists every code with its remedy. */
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
 * It is no TypeError: a class has one base, and this one stays a {@link DotpoolError}, as it stands for values out of
 * range and files that are missing, too. `argument` and `code` tell it apart.
 */
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

/** No token can be drawn: logits processors have masked every one. */
export class NoTokenError extends DotpoolError {
  /** @param position of the token that was to be drawn */
  constructor(position: number) {
    const problem = `no token can be drawn for position ${position}, for all logits are -Infinity`
    super('ERR_DOTPOOL_NO_TOKEN', `${problem}; let processors leave at least one token`)
  }
}

/** There is not so much memory. Close or dispose of what is not needed, or ask for less. */
export class OutOfMemoryError extends DotpoolError {
  constructor(byteLength: number, cause: unknown) {
    const remedy = 'dispose of what is not needed, or ask for less'
    super('ERR_DOTPOOL_OUT_OF_MEMORY', `${byteLength} bytes cannot be had; ${remedy}`, { cause })
  }
}

/** A mistake of dotpool itself, found before it could do harm. */
export class InternalError extends DotpoolError {
  constructor(problem: string) {
    super('ERR_DOTPOOL_INTERNAL', `${problem}: a mistake of dotpool itself, please report it`)
  }
}

/** A file is not what its format says. `file` names it, `problem` says where it breaks. */
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

/** Throws an {@link ArgumentError} unless `value` is an AbortSignal, or left out. */
export function checkSignal(argument: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw new ArgumentError(argument, 'an AbortSignal', describe(value))
  }
}

/** Throws an {@link ArgumentError} unless `value` is a function, or left out. */
export function checkCallback(argument: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw new ArgumentError(argument, 'a function', describe(value))
  }
}

/** Throws an {@link ArgumentError} unless `value` is true or false, or left out. */
export function checkBoolean(argument: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new ArgumentError(argument, 'true or false', describe(value))
  }
}

/** Throws an {@link ArgumentError} unless `value` is a string. */
export function checkString(argument: string, value: unknown): void {
  if (typeof value !== 'string') throw new ArgumentError(argument, 'a string', describe(value))
}

/** The length of what should be array-like; throws an {@link ArgumentError} if it has none as arrays have it. */
export function checkList(argument: string, value: unknown, expected = 'an array'): number {
  const length = readLength(value)
  if (typeof length === 'number' && Number.isSafeInteger(length) && length >= 0) return length
  throw new ArgumentError(argument, expected, describe(value))
}

/** Undefined where it cannot be read: proxies of typed arrays throw. */
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
 * A copy of an array whose items are all fine, for the caller may change theirs as soon as the call has returned.
 *
 * @param expected what the items are to be
 * @throws ArgumentError
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

import { FormatError } from '../../errors.js'
import { show } from '../json/fields.js'
import type { Cursor } from './cursor.js'

/*
 * The fields in the header of a GGUF file: a key, the number of a type, and a value of that type. An array has one type
 * for all its elements, which are not arrays.
 */

type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array

/** 64-bit integers become the nearest doubles; a list of strings becomes a function that decodes it. */
export type Value = number | boolean | string | NumberArray | (() => string[])

/** The format's numbers of the types of numbers. */
const numberTypes = new Map<number, new (buffer: ArrayBuffer) => NumberArray>([
  [0, Uint8Array],
  [1, Int8Array],
  [2, Uint16Array],
  [3, Int16Array],
  [4, Uint32Array],
  [5, Int32Array],
  [6, Float32Array],
  [10, BigUint64Array],
  [11, BigInt64Array],
  [12, Float64Array],
])
const [FLOAT32, BOOLEAN, STRING, ARRAY] = [6, 7, 8, 9]

const itemBytes = new Map([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [10, 8],
  [11, 8],
  [12, 8],
])

/**
 * Reads the value of a field.
 *
 * @param file named in errors
 * @throws FormatError naming the field; NeedsMore
 */
export function readValue(file: string, cursor: Cursor, key: string): Value {
  const type = cursor.u32(`the type of ${key}`)
  if (type === STRING) return cursor.string(key)
  if (type === ARRAY) return readArray(file, cursor, key)
  if (type === BOOLEAN) return cursor.take(1, key)[0] !== 0
  const value = Number(readNumbers(file, cursor, key, type, 1)[0])
  return type === FLOAT32 ? shortest(value) : value
}

function readArray(file: string, cursor: Cursor, key: string): Value {
  const type = cursor.u32(`the type of ${key}`)
  const count = cursor.u64(`the length of ${key}`)
  if (type !== STRING) return readNumbers(file, cursor, key, type === BOOLEAN ? 0 : type, count)
  checkCount(file, cursor, key, count, 8)
  return cursor.strings(count, key)
}

function readNumbers(
  file: string,
  cursor: Cursor,
  key: string,
  type: number,
  count: number,
): NumberArray {
  const Numbers = numberTypes.get(type)
  if (Numbers === undefined) throw new FormatError(file, `${key}: no field has type ${type}`)
  const bytes = itemBytes.get(type) as number
  checkCount(file, cursor, key, count, bytes)
  return new Numbers(cursor.take(count * bytes, key).buffer)
}

function checkCount(file: string, cursor: Cursor, key: string, count: number, bytes: number): void {
  if (count * bytes <= cursor.left) return
  throw new FormatError(file, `${key}: ${count} elements are more than the file can hold`)
}

/** The shortest decimal that rounds to the same float32: the one that was converted to it. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits))
    if (Math.fround(candidate) === value) return candidate
  }
  return value
}

/** The fields of a GGUF file by key; each access is checked, and errors name the key. */
export class Metadata {
  readonly file: string
  readonly #values: ReadonlyMap<string, Value>

  constructor(file: string, values: ReadonlyMap<string, Value>) {
    this.file = file
    this.#values = values
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  /** An integer in [min, 2^31). */
  integer(key: string, min: number, fallback?: number): number {
    const value = this.#values.get(key) ?? fallback
    if (isInteger(value, min)) return value
    throw this.#wrong(key, `an integer of at least ${min}`)
  }

  /** An integer of at least `min`, or a list in which all are the same. */
  uniform(key: string, min: number, fallback?: number): number {
    const value = this.#values.get(key)
    if (!isNumbers(value)) return this.integer(key, min, fallback)
    const [first] = value
    if (isInteger(first, min) && value.every((element: number | bigint) => element === first)) {
      return first
    }
    throw this.#wrong(key, `the same integer for all layers, at least ${min}`)
  }

  /** A finite number; undefined where there is none. */
  number(key: string): number | undefined {
    const value = this.#values.get(key)
    if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value
    throw this.#wrong(key, 'a number')
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#values.get(key) ?? fallback
    if (typeof value === 'boolean') return value
    throw this.#wrong(key, 'true or false')
  }

  /** A string; undefined where there is none. */
  text(key: string): string | undefined {
    const value = this.#values.get(key)
    if (value === undefined || typeof value === 'string') return value
    throw this.#wrong(key, 'a string')
  }

  /**
   * A list of strings, decoded each time; a missing one is empty.
   *
   * @throws FormatError also for invalid UTF-8
   */
  texts(key: string): readonly string[] {
    const value = this.#values.get(key)
    if (value === undefined) return []
    if (typeof value === 'function') return value()
    throw this.#wrong(key, 'a list of strings')
  }

  /** A list of numbers; undefined where there is none. */
  numbers(key: string): ArrayLike<number> | undefined {
    const value = this.#values.get(key)
    if (value === undefined) return undefined
    if (isNumbers(value) && typeof value[0] !== 'bigint') return value as ArrayLike<number>
    throw this.#wrong(key, 'a list of numbers of at most 32 bits')
  }

  #wrong(key: string, expected: string): FormatError {
    const value = this.#values.get(key)
    const got = isNumbers(value) || typeof value === 'function' ? 'a list' : show(value)
    return new FormatError(this.file, `${key}: expected ${expected}, got ${got}`)
  }
}

function isInteger(value: unknown, min: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) < 2 ** 31
}

function isNumbers(value: Value | undefined): value is NumberArray {
  return ArrayBuffer.isView(value)
}

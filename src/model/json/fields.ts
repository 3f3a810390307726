import { FormatError } from '../../errors.js'

/**
 * Reads the fields of a JSON object, each checked; errors name the field by its full path. A null field counts as
 * missing, because published configurations spell it so.
 */
export class Fields {
  /** The object itself. */
  readonly values: Record<string, unknown>
  readonly #file: string
  readonly #path: string

  /**
   * @param file named in errors
   * @param value what should be an object
   * @param path of the object in the file, e.g. `rope_parameters`
   * @throws FormatError if it is not an object
   */
  constructor(file: string, value: unknown, path = '') {
    if (!isObject(value)) throw new FormatError(file, `${path || 'the file'} is not an object`)
    this.values = value
    this.#file = file
    this.#path = path
  }

  /** An integer in [min, 2^31). */
  integer(key: string, min: number, fallback?: number): number {
    const value = this.values[key] ?? fallback
    if (Number.isInteger(value) && (value as number) >= min && (value as number) < 2 ** 31) {
      return value as number
    }
    throw this.#wrong(key, value, `an integer of at least ${min}`)
  }

  /** A finite number above `bound`. */
  above(key: string, bound: number, fallback?: number): number {
    const value = this.values[key] ?? fallback
    if (typeof value === 'number' && value > bound && Number.isFinite(value)) return value
    throw this.#wrong(key, value, `a number above ${bound}`)
  }

  /** A finite number, not negative; undefined where there is none. */
  optional(key: string): number | undefined {
    const value = this.values[key] ?? undefined
    if (value === undefined) return undefined
    if (typeof value === 'number' && value >= 0 && Number.isFinite(value)) return value
    throw this.#wrong(key, value, 'a number of at least 0')
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback
    if (typeof value === 'boolean') return value
    throw this.#wrong(key, value, 'true or false')
  }

  /** A string; undefined where there is none. */
  text(key: string): string | undefined {
    const value = this.values[key] ?? undefined
    if (value === undefined || typeof value === 'string') return value
    throw this.#wrong(key, value, 'a string')
  }

  /** A list; a missing one is empty. */
  list(key: string): unknown[] {
    const value = this.values[key] ?? []
    if (Array.isArray(value)) return value
    throw this.#wrong(key, value, 'a list')
  }

  /** Token ids: one, a list of them, or none. */
  tokenIds(key: string): number[] {
    const value = this.values[key] ?? []
    const ids: unknown[] = Array.isArray(value) ? value : [value]
    if (ids.every((id) => Number.isInteger(id) && (id as number) >= 0)) return ids as number[]
    throw this.#wrong(key, value, 'a token id, or a list of token ids')
  }

  /** The fields of the object under `key`; undefined where there is none. */
  object(key: string): Fields | undefined {
    const value = this.values[key] ?? undefined
    return value === undefined ? undefined : this.required(key)
  }

  /** The fields of the object under `key`, which must be there. */
  required(key: string): Fields {
    return new Fields(this.#file, this.values[key], this.#name(key))
  }

  /** The fields of every object in this one, which must hold nothing else. */
  objects(): Fields[] {
    return Object.keys(this.values).map((key) => this.required(key))
  }

  /**
   * Checks for one of the values that this version supports.
   *
   * @param supported the allowed values; undefined among them allows the field to be missing
   * @throws FormatError naming the value found
   */
  only(key: string, ...supported: (string | number | boolean | undefined)[]): void {
    const value = this.values[key] ?? undefined
    if (supported.includes(value as string | number | boolean | undefined)) return
    const choices = supported.filter((choice) => choice !== undefined)
    const hint = choices.length === 0 ? '' : `, only ${choices.map(show).join(', ')}`
    throw new FormatError(this.#file, `${this.#name(key)} ${show(value)} is not supported${hint}`)
  }

  /** @throws FormatError for an object that is there and not empty */
  empty(key: string): void {
    if (Object.keys(this.object(key)?.values ?? {}).length === 0) return
    throw new FormatError(this.#file, `${this.#name(key)} is not supported`)
  }

  #name(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }

  #wrong(key: string, value: unknown, expected: string): FormatError {
    return new FormatError(
      this.#file,
      `${this.#name(key)}: expected ${expected}, got ${show(value)}`,
    )
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A JSON value in a few words; a nested one only by its kind, because it may be of any size. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  const text = JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}

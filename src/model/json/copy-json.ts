import { types } from 'node:util'
import { ArgumentError, describe } from '../../errors.js'

/** A value that JSON can spell. */
export type Json = null | boolean | number | string | Json[] | JsonObject

export interface JsonObject {
  [key: string]: Json
}

/** Where a value stands: the name of an argument, then keys and indices. */
export type JsonPath = readonly [argument: string, ...keys: (string | number)[]]

/*
 * Far above what conversations and schemas have, so that no value takes long to copy, to post to another thread, or
 * to read there.
 */
const MAX_DEPTH = 100
const MAX_VALUES = 100_000
/** Of all strings and keys together, UTF-16 units. */
const MAX_CHARACTERS = 1 << 24

/**
 * Copies callers' values that must be JSON. Runs no code of theirs: getters, proxies and `toJSON` are refused unread.
 * Leaves out keys whose value is undefined, as JSON.stringify does. The bounds are for all that one copier copies.
 */
export class JsonCopier {
  #values = 0
  #characters = 0
  #path: (string | number)[] = []
  readonly #enclosing = new Set<object>()

  /** @throws ArgumentError naming what is not JSON, or the argument that is too large */
  copy(path: JsonPath, value: unknown): Json {
    this.#path = [...path]
    this.#enclosing.clear()
    return this.#copy(value)
  }

  #copy(value: unknown): Json {
    if (++this.#values > MAX_VALUES) throw this.#tooLarge(`at most ${MAX_VALUES} values`)
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'string') return this.#counted(value)
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (typeof value !== 'object') throw this.#refusal(describe(value))
    if (types.isProxy(value)) throw this.#refusal('a proxy')
    if (this.#enclosing.has(value)) throw this.#refusal('a cycle')
    if (this.#enclosing.size === MAX_DEPTH) throw this.#tooLarge(`at most ${MAX_DEPTH} levels`)
    this.#enclosing.add(value)
    const copy = Array.isArray(value) ? this.#copyArray(value) : this.#copyObject(value)
    this.#enclosing.delete(value)
    return copy
  }

  #copyArray(array: readonly unknown[]): Json[] {
    const copy: Json[] = []
    for (let i = 0; i < array.length; i++) {
      this.#path.push(i)
      copy.push(this.#copy(this.#read(array, i)))
      this.#path.pop()
    }
    return copy
  }

  #copyObject(object: object): JsonObject {
    if (!isPlain(object)) throw this.#refusal(describe(object))
    const entries: [string, Json][] = []
    for (const key of Object.keys(object)) {
      this.#path.push(key)
      const value = this.#read(object, key)
      if (value !== undefined) entries.push([this.#counted(key), this.#copy(value)])
      this.#path.pop()
    }
    // an assignment would take the key __proto__ for the prototype
    return Object.fromEntries(entries)
  }

  #read(parent: object, key: string | number): unknown {
    const property = Object.getOwnPropertyDescriptor(parent, key)
    if (property?.get !== undefined || property?.set !== undefined) throw this.#refusal('a getter')
    return property?.value
  }

  #counted(text: string): string {
    this.#characters += text.length
    if (this.#characters <= MAX_CHARACTERS) return text
    throw this.#tooLarge(`at most ${MAX_CHARACTERS} characters`)
  }

  #refusal(got: string): ArgumentError {
    const expected = 'a JSON value: a string, finite number, boolean, null, array or plain object'
    return new ArgumentError(spellPath(this.#path), expected, got)
  }

  #tooLarge(expected: string): ArgumentError {
    return new ArgumentError(String(this.#path[0]), `${expected} in all`, 'more')
  }
}

/** Whether it is no instance of a class, in whichever realm it was made. */
function isPlain(object: object): boolean {
  const prototype = Object.getPrototypeOf(object)
  if (prototype === null) return !types.isModuleNamespaceObject(object)
  return !types.isProxy(prototype) && Object.getPrototypeOf(prototype) === null
}

/** As JavaScript has it, e.g. `tools[0].function.name`. */
export function spellPath([argument, ...keys]: readonly (string | number)[]): string {
  const parts = keys.map((key) => {
    if (typeof key === 'number') return `[${key}]`
    return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  })
  return `${argument}${parts.join('')}`
}

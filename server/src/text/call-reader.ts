import { ObjectScanner } from './object-scanner.js'

/** What a text that may call functions comes to, in its order. */
export type CallEvent =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly name: string }
  /** More of the last call's arguments, in JSON. */
  | { readonly kind: 'arguments'; readonly text: string }

/** Tells calls from text, as the text comes in pieces. The events do not depend on where it is cut. */
export interface CallParser {
  push(piece: string): CallEvent[]
  /** What was held back until it was clear what it is. */
  end(): CallEvent[]
}

/** What nearly all calls begin with. What does not, is read once the object is complete. */
const head = /^\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)/

/** Reads `{"name": ..., "arguments": {...}}`, or `parameters`; the arguments as they come. */
export class CallReader {
  readonly #object = new ObjectScanner()
  readonly #arguments = new ObjectScanner()
  /** The object so far, until its head is known. */
  #buffer = ''
  #state: 'head' | 'arguments' | 'tail' = 'head'

  /** Whether it is known to be a call. */
  get isCall(): boolean {
    return this.#state !== 'head'
  }

  /**
   * @param piece of the text, the first beginning with the object's brace
   * @returns events, and what comes behind the object once that has ended; then it must not be called again
   */
  push(piece: string): { events: CallEvent[]; rest: string | undefined } {
    const end = this.#object.end(piece)
    const part = piece.slice(0, end)
    const events = this.#state === 'head' ? this.#readHead(part) : this.#readArguments(part)
    if (end === undefined) return { events, rest: undefined }
    if (!this.isCall) events.push(...this.#readWhole())
    return { events, rest: piece.slice(end) }
  }

  /** The text has ended within the object: what was held back. */
  end(): CallEvent[] {
    return this.isCall || this.#buffer === '' ? [] : [{ kind: 'text', text: this.#buffer }]
  }

  #readHead(part: string): CallEvent[] {
    this.#buffer += part
    const match = head.exec(this.#buffer)
    const name = match === null ? undefined : parse(match[1])
    if (match === null || typeof name !== 'string') return []
    this.#state = 'arguments'
    return [{ kind: 'call', name }, ...this.#readArguments(this.#buffer.slice(match[0].length))]
  }

  #readArguments(part: string): CallEvent[] {
    if (this.#state === 'tail') return []
    const end = this.#arguments.end(part)
    if (end !== undefined) this.#state = 'tail'
    const text = part.slice(0, end)
    return text === '' ? [] : [{ kind: 'arguments', text }]
  }

  /** An object whose keys come in another order, that has no arguments, or that is no call. */
  #readWhole(): CallEvent[] {
    const { name, arguments: own, parameters = {} } = (parse(this.#buffer) ?? {}) as RawCall
    const given = own ?? parameters
    const values = typeof given === 'string' ? parse(given) : given
    if (typeof name !== 'string' || !isObject(values)) return this.end()
    this.#state = 'tail'
    return [
      { kind: 'call', name },
      { kind: 'arguments', text: JSON.stringify(values) },
    ]
  }
}

interface RawCall {
  name?: unknown
  arguments?: unknown
  parameters?: unknown
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

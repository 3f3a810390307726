import { ArgumentError, FormatError } from '../../../errors.js'

/** An error on its way from one thread to another, which would not keep its class. */
export type WireError =
  | { readonly kind: 'argument'; readonly parts: readonly [string, string, string] }
  | { readonly kind: 'format'; readonly file: string; readonly problem: string; cause: unknown }
  | { readonly kind: 'other'; readonly error: unknown }

export function toWire(error: unknown): WireError {
  if (error instanceof ArgumentError) {
    return { kind: 'argument', parts: [error.argument, error.expected, error.got] }
  }
  if (error instanceof FormatError) {
    const { file, problem } = error
    // what cannot be cloned has its words in the message
    const cause = error.cause instanceof Error ? new Error(error.cause.message) : undefined
    return { kind: 'format', file, problem, cause }
  }
  return { kind: 'other', error: error instanceof Error ? new Error(error.message) : String(error) }
}

export function fromWire(wire: WireError): unknown {
  if (wire.kind === 'argument') return new ArgumentError(...wire.parts)
  if (wire.kind === 'format') {
    return new FormatError(wire.file, wire.problem, { cause: wire.cause })
  }
  return wire.error
}

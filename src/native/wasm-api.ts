/* The types of WebAssembly's JavaScript API, as far as it is used here; only the DOM's types have them otherwise. */

/** Compiled code, which can be posted to other threads. */
export interface Module {
  readonly [Symbol.toStringTag]: string
}

/** A shared memory, which can be posted to other threads. */
export interface Memory {
  /** All of the memory; a new buffer after it has grown. */
  readonly buffer: SharedArrayBuffer
  /** Grows the memory by a number of pages; throws a RangeError if it cannot. */
  grow(pages: number): number
}

export interface Global {
  value: number
}

interface Api {
  Module: new (bytes: Uint8Array) => Module
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => Memory
  Instance: new (module: Module, imports: object) => { readonly exports: unknown }
  validate(bytes: Uint8Array): boolean
}

/** Undefined if the process may not generate machine code (`--jitless`). */
const api = (globalThis as unknown as { WebAssembly?: Api }).WebAssembly

export const { Module, Memory, Instance } = api ?? ({} as Api)

/** Whether this Node.js can run the module. */
export function validate(bytes: Uint8Array): boolean {
  return api?.validate(bytes) ?? false
}

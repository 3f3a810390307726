/* The part of WebAssembly's JavaScript API that is used here; without the DOM's types there are none. */

/** Compiled code; can be posted to other threads. */
export interface Module {
  readonly [Symbol.toStringTag]: string
}

/** A shared memory; can be posted to other threads. */
export interface Memory {
  /** All of it; another one after it has grown. */
  readonly buffer: SharedArrayBuffer
  /** By so many pages; throws a RangeError where it cannot. */
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

/** Undefined where the process may not make machine code (`--jitless`). */
const api = (globalThis as unknown as { WebAssembly?: Api }).WebAssembly

export const { Module, Memory, Instance } = api ?? ({} as Api)

/** Whether this Node.js can run the module. */
export function validate(bytes: Uint8Array): boolean {
  return api?.validate(bytes) ?? false
}

import { types } from 'node:util'

/*
 * Typed arrays of callers as the engine knows them. Own properties and prototypes may say anything, and buffers
 * may be detached or shrink at any time. So what is checked, and read later, is a view of our own.
 */

/** A class of typed arrays. */
export type ViewClass<View> = {
  readonly name: string
  new (length: number): View
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): View
}

const prototype = Object.getPrototypeOf(Uint8Array.prototype)
const getKind = getterOf<string | undefined>(Symbol.toStringTag)
const getBuffer = getterOf<ArrayBufferLike>('buffer')
const getByteOffset = getterOf<number>('byteOffset')
const getLength = getterOf<number>('length')

function getterOf<T>(name: PropertyKey): (this: unknown) => T {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as (this: unknown) => T
}

/** The class of a typed array by name, whatever its prototype; undefined for anything else. */
export function kindOf(value: unknown): string | undefined {
  return getKind.call(value)
}

/** Elements of a typed array, whatever it says of itself. */
export function lengthOf(array: unknown): number {
  return getLength.call(array)
}

/**
 * A view of our own of what a typed array shows now: no longer than that at any time, and empty once the
 * buffer was detached or does not reach as far any more.
 *
 * @returns undefined if `array` is none of that class
 */
export function viewOf<View>(View: ViewClass<View>, array: unknown): View | undefined {
  if (kindOf(array) !== View.name) return undefined
  if (isDetached(array)) return new View(0)
  return new View(getBuffer.call(array), getByteOffset.call(array), getLength.call(array))
}

/** Whether a typed array's memory was transferred to someone else; its length is 0 then. */
export function isDetached(array: unknown): boolean {
  if (getLength.call(array) > 0) return false
  try {
    new Uint8Array(getBuffer.call(array))
    return false
  } catch {
    return true
  }
}

/** Whether other threads can have the view's memory too. */
export function isShared(view: ArrayBufferView): boolean {
  return types.isSharedArrayBuffer(view.buffer)
}

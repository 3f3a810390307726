import { types } from 'node:util'

/*
 * Typed arrays that callers pass in. Their own properties and prototypes can be anything, and their buffers can be
 * detached or shrink at any time. So dotpool makes a new view of each, and checks and reads that.
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

/** The name of a typed array's class, whatever its prototype is; undefined for anything else. */
export function kindOf(value: unknown): string | undefined {
  return getKind.call(value)
}

/** The number of elements of a typed array, whatever its `length` property is. */
export function lengthOf(array: unknown): number {
  return getLength.call(array)
}

/**
 * Makes a new view of the elements that a typed array has now. The view never grows; it becomes empty when the buffer
 * is detached or shrinks below its end.
 *
 * @returns undefined if `array` is not of that class
 */
export function viewOf<View>(View: ViewClass<View>, array: unknown): View | undefined {
  if (kindOf(array) !== View.name) return undefined
  if (isDetached(array)) return new View(0)
  return new View(getBuffer.call(array), getByteOffset.call(array), getLength.call(array))
}

/** Whether a typed array's buffer was detached; its length is 0 then. */
export function isDetached(array: unknown): boolean {
  if (getLength.call(array) > 0) return false
  try {
    new Uint8Array(getBuffer.call(array))
    return false
  } catch {
    return true
  }
}

/** Whether the view is of shared memory. */
export function isShared(view: ArrayBufferView): boolean {
  return types.isSharedArrayBuffer(view.buffer)
}

/*
 * V8 does not count what SharedArrayBuffers take, so that it would collect gigabytes of them only when the small
 * objects that hold them become many. Hence each goes with a counterweight: a buffer of the same size that V8
 * counts, and nobody touches.
 */

/** Smaller buffers do not matter, and are many. */
const LEAST = 64 << 10

const counterweights = new WeakMap<SharedArrayBuffer, ArrayBuffer>()

/** Zeroed shared memory that V8 counts; a RangeError if there is none. */
export function allocateShared(byteLength: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(byteLength)
  const weight = makeCounterweight(byteLength)
  if (weight !== undefined) counterweights.set(buffer, weight)
  return buffer
}

/** A buffer that takes address space only: resizable ones are mapped, and no part of malloc's heap. */
export function makeCounterweight(byteLength: number): ArrayBuffer | undefined {
  if (byteLength < LEAST) return undefined
  try {
    return new ResizableBuffer(byteLength, { maxByteLength: byteLength })
  } catch {
    // where address space is short, do without
    return undefined
  }
}

const ResizableBuffer = ArrayBuffer as unknown as new (
  byteLength: number,
  options: { maxByteLength: number },
) => ArrayBuffer

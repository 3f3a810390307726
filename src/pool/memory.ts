import { loadNative } from '../native.js'
import { arrayOf, type TensorData, type TensorType } from '../tensor.js'

/** Cache line and tile alignment, bytes. */
export const ALIGNMENT = 64

/**
 * Zeroed shared memory whose first byte is 64-byte aligned. A SharedArrayBuffer's own base is only
 * 16-byte aligned, so the view may start a little into a larger buffer.
 */
export function sharedBytes(byteLength: number): Uint8Array<SharedArrayBuffer> {
  const buffer = new SharedArrayBuffer(byteLength + ALIGNMENT)
  const native = loadNative()
  if (native === null) return new Uint8Array(buffer, 0, byteLength)
  const base = native.address(new Uint8Array(buffer))
  const offset = (ALIGNMENT - (base % ALIGNMENT)) % ALIGNMENT
  return new Uint8Array(buffer, offset, byteLength)
}

/** A typed array of zeros in shared memory, 64-byte aligned. */
export function sharedArray<T extends TensorType>(type: T, length: number): TensorData[T] {
  return viewAs(type, sharedBytes(length * arrayOf[type].BYTES_PER_ELEMENT), length)
}

/** The first `length` elements of `bytes`, as an array of the type. */
export function viewAs<T extends TensorType>(
  type: T,
  bytes: Uint8Array,
  length: number,
): TensorData[T] {
  const TypedArray = arrayOf[type] as unknown as ViewConstructor<TensorData[T]>
  return new TypedArray(bytes.buffer, bytes.byteOffset, length)
}

type ViewConstructor<A> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => A

/** Whether workers can see the view's memory as it is. */
export function isShared(view: ArrayBufferView): boolean {
  return view.buffer instanceof SharedArrayBuffer
}

/** Whether the view's memory was transferred to someone else; its length is 0 then. */
export function isDetached(view: ArrayBufferView): boolean {
  if (view.byteLength > 0) return false
  try {
    new Uint8Array(view.buffer)
    return false
  } catch {
    return true
  }
}

/** Whether two views have a byte in common. */
export function overlaps(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}

/** How much memory {@link Staging} keeps for later, bytes. */
const KEEP = 64 << 20

/**
 * Shared memory for the length of a call: copies of inputs, quantised rows. Blocks come in powers of
 * two and are used again, because fresh memory costs a page fault every 4 KiB.
 */
export class Staging {
  #free = new Map<number, Uint8Array<SharedArrayBuffer>[]>()
  #kept = 0

  /** A block of at least `byteLength` bytes, 64-byte aligned, with anything in it. */
  take(byteLength: number): Uint8Array<SharedArrayBuffer> {
    if (byteLength > KEEP) return sharedBytes(byteLength)
    const size = 2 ** Math.ceil(Math.log2(Math.max(byteLength, 4096)))
    const block = this.#free.get(size)?.pop()
    if (block === undefined) return sharedBytes(size)
    this.#kept -= size
    return block
  }

  /** Gives a block back; nobody may use it any more. */
  give(block: Uint8Array<SharedArrayBuffer>): void {
    const size = block.byteLength
    if (this.#kept + size > KEEP) return
    this.#kept += size
    const blocks = this.#free.get(size)
    if (blocks === undefined) this.#free.set(size, [block])
    else blocks.push(block)
  }
}

/** What one call has taken from the staging memory, given back together. */
export class CallMemory {
  readonly #staging: Staging
  /** None for most calls of one row, which are many. */
  #blocks: Uint8Array<SharedArrayBuffer>[] | undefined

  constructor(staging: Staging) {
    this.#staging = staging
  }

  /** At least `byteLength` bytes, 64-byte aligned, with anything in them. */
  take(byteLength: number): Uint8Array<SharedArrayBuffer> {
    const block = this.#staging.take(byteLength)
    if (this.#blocks === undefined) this.#blocks = [block]
    else this.#blocks.push(block)
    return block
  }

  /** The data where workers see it: itself if it is shared, or a copy that the caller cannot change. */
  share<T extends TensorType>(type: T, data: TensorData[T]): TensorData[T] {
    if (isShared(data)) return data
    const copy = viewAs(type, this.take(data.byteLength), data.length)
    ;(copy as Float32Array).set(data as Float32Array)
    return copy
  }

  /** Gives everything back; nobody may use it any more. */
  release(): void {
    for (const block of this.#blocks ?? []) this.#staging.give(block)
    this.#blocks = undefined
  }
}

import { OutOfMemoryError } from '../errors.js'
import type { Native } from '../native/abi.js'
import { arrayOf, type TensorData, type TensorType } from '../tensor.js'
import { isShared } from '../views.js'

/** How much memory a pool keeps for later calls, bytes. */
const KEEP = 64 << 20

/**
 * Memory that a pool's workers see, shared and zeroed. Blocks for the length of a call (copies of inputs,
 * quantised rows) come in powers of two and are used again, because fresh memory costs a page fault every
 * 4 KiB.
 */
export class Memory {
  readonly #native: Native | null
  readonly #free = new Map<number, Uint8Array<SharedArrayBuffer>[]>()
  #kept = 0

  /** @param native what is to see it, or null for TypeScript */
  constructor(native: Native | null) {
    this.#native = native
  }

  /** Zeros, 64-byte aligned; an OutOfMemoryError if there is no such memory. */
  bytes(byteLength: number): Uint8Array<SharedArrayBuffer> {
    try {
      return this.#native?.allocate(byteLength) ?? new Uint8Array(new SharedArrayBuffer(byteLength))
    } catch (cause) {
      throw new OutOfMemoryError(byteLength, cause)
    }
  }

  /** A typed array of zeros, 64-byte aligned. */
  array<T extends TensorType>(type: T, length: number): TensorData[T] {
    return viewAs(type, this.bytes(length * arrayOf[type].BYTES_PER_ELEMENT), length)
  }

  /** A typed array that workers can write, shared only if it must be. */
  result<T extends TensorType>(type: T, length: number): TensorData[T] {
    if (this.#native?.seesAll !== true) return this.array(type, length)
    const byteLength = length * arrayOf[type].BYTES_PER_ELEMENT
    try {
      // a buffer of its own: small typed arrays would lie on the heap, where the collector moves them
      return viewAs(type, new Uint8Array(new ArrayBuffer(byteLength)), length)
    } catch (cause) {
      throw new OutOfMemoryError(byteLength, cause)
    }
  }

  /** A copy of a result for the caller, who shares nothing; the result must not be used any more. */
  unshare<T extends Float32Array | Uint16Array | Int32Array>(result: T): T {
    if (!isShared(result)) return result
    const copy = result.slice() as T
    this.discard(result)
    return copy
  }

  /** Gives back what {@link array} or {@link result} gave; it must not be used any more. */
  discard(array: ArrayBufferView): void {
    this.#native?.free(array)
  }

  /** Whether workers see the view's memory, and its owner may change it while they do. */
  sees(view: ArrayBufferView): boolean {
    return isShared(view) && (this.#native?.sees(view) ?? true)
  }

  /** A block of at least `byteLength` bytes, 64-byte aligned, with anything in it. */
  take(byteLength: number): Uint8Array<SharedArrayBuffer> {
    if (byteLength > KEEP) return this.bytes(byteLength)
    const size = 2 ** Math.ceil(Math.log2(Math.max(byteLength, 4096)))
    const block = this.#free.get(size)?.pop()
    if (block === undefined) return this.bytes(size)
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

/** Zeros that are nobody else's, for results that no worker writes; an OutOfMemoryError if there is no such memory. */
export function newArray<A extends ArrayBufferView>(
  TypedArray: { new (length: number): A; readonly BYTES_PER_ELEMENT: number },
  length: number,
): A {
  try {
    return new TypedArray(length)
  } catch (cause) {
    throw new OutOfMemoryError(length * TypedArray.BYTES_PER_ELEMENT, cause)
  }
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

/** Whether two views have a byte in common. */
export function overlaps(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}

/** What one call has taken of a pool's memory, given back together. */
export class CallMemory {
  readonly #memory: Memory
  /** None for most calls of one row, which are many. */
  #blocks: Uint8Array<SharedArrayBuffer>[] | undefined

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /** At least `byteLength` bytes, 64-byte aligned, with anything in them. */
  take(byteLength: number): Uint8Array<SharedArrayBuffer> {
    const block = this.#memory.take(byteLength)
    if (this.#blocks === undefined) this.#blocks = [block]
    else this.#blocks.push(block)
    return block
  }

  /** The data where workers see it: itself if they do, or a copy that the caller cannot change. */
  share<T extends TensorType>(type: T, data: TensorData[T]): TensorData[T] {
    if (this.#memory.sees(data)) return data
    const copy = viewAs(type, this.take(data.byteLength), data.length)
    ;(copy as Float32Array).set(data as Float32Array)
    return copy
  }

  /** Gives everything back; nobody may use it any more. */
  release(): void {
    for (const block of this.#blocks ?? []) this.#memory.give(block)
    this.#blocks = undefined
  }
}

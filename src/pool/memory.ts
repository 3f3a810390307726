import { OutOfMemoryError } from '../errors.js'
import type { Native } from '../native/abi.js'
import { collectGarbage } from '../native/collect-garbage.js'
import { arrayOf, type TensorData, type TensorType } from '../tensor.js'
import { isShared } from '../views.js'

/** The most memory that a pool keeps for later calls, bytes. */
const MAX_KEPT_BYTES = 64 << 20

/** The most memory that waits to be collected as garbage, bytes. */
const DISCARDED_BYTES = 64 << 20

/**
 * Memory that a pool's workers see, shared and zeroed. Blocks that last for one call (copies of inputs, quantised
 * rows) have sizes that are powers of two and are reused, because fresh memory costs a page fault every 4 KiB.
 */
export class Memory {
  readonly #native: Native | null
  readonly #free = new Map<number, Uint8Array<SharedArrayBuffer>[]>()
  #keptBytes = 0
  /** Since garbage was last collected for it. */
  #discardedBytes = 0

  /** @param native the native code that is to see the memory, or null for TypeScript */
  constructor(native: Native | null) {
    this.#native = native
  }

  /** Allocates zeros, 64-byte aligned; throws an OutOfMemoryError if it cannot. */
  bytes(byteLength: number): Uint8Array<SharedArrayBuffer> {
    try {
      return this.#native?.allocate(byteLength) ?? new Uint8Array(new SharedArrayBuffer(byteLength))
    } catch (cause) {
      throw new OutOfMemoryError(byteLength, cause)
    }
  }

  /** Allocates a typed array of zeros, 64-byte aligned. */
  array<T extends TensorType>(type: T, length: number): TensorData[T] {
    return viewAs(type, this.bytes(length * arrayOf[type].BYTES_PER_ELEMENT), length)
  }

  /** Allocates a typed array that workers can write, in shared memory only if they see no other. */
  result<T extends TensorType>(type: T, length: number): TensorData[T] {
    if (this.#native?.seesAll !== true) return this.array(type, length)
    const byteLength = length * arrayOf[type].BYTES_PER_ELEMENT
    try {
      // a buffer of its own: V8 keeps small typed arrays on its heap, where the garbage collector moves them
      return viewAs(type, new Uint8Array(new ArrayBuffer(byteLength)), length)
    } catch (cause) {
      throw new OutOfMemoryError(byteLength, cause)
    }
  }

  /** Copies a result out of shared memory, for callers that share nothing, and frees it. */
  unshare<T extends Float32Array | Uint16Array | Int32Array>(result: T): T {
    if (!isShared(result)) return result
    const copy = result.slice() as T
    this.free(result)
    return copy
  }

  /** Frees an array of {@link array} or {@link result}, which must not be used any more. */
  free(array: ArrayBufferView): void {
    this.#native?.free(array)
  }

  /**
   * Tells that arrays of so many bytes are no longer referenced. V8 does not count shared memory when it decides whether
   * to collect garbage, so much of it could stay for hours.
   *
   * @param byteLength Infinity for what is to go at once, such as an open file
   */
  discard(byteLength: number): void {
    const before = this.#discardedBytes
    this.#discardedBytes += byteLength
    if (before > DISCARDED_BYTES || this.#discardedBytes <= DISCARDED_BYTES) return
    // in the next turn of the event loop, when the callers have returned and hold no references
    setImmediate(() => {
      this.#discardedBytes = 0
      collectGarbage()
    })
  }

  /** Whether workers see the view's memory. Its owner can change it while they read it. */
  sees(view: ArrayBufferView): boolean {
    return isShared(view) && (this.#native?.sees(view) ?? true)
  }

  /** Acquires a block of at least `byteLength` bytes, 64-byte aligned, with arbitrary content. */
  acquire(byteLength: number): Uint8Array<SharedArrayBuffer> {
    if (byteLength > MAX_KEPT_BYTES) return this.bytes(byteLength)
    const size = 2 ** Math.ceil(Math.log2(Math.max(byteLength, 4096)))
    const block = this.#free.get(size)?.pop()
    if (block === undefined) return this.bytes(size)
    this.#keptBytes -= size
    return block
  }

  /** Releases a block, which must not be used any more. */
  release(block: Uint8Array<SharedArrayBuffer>): void {
    const size = block.byteLength
    if (this.#keptBytes + size > MAX_KEPT_BYTES) return
    this.#keptBytes += size
    const blocks = this.#free.get(size)
    if (blocks === undefined) this.#free.set(size, [block])
    else blocks.push(block)
  }
}

/** An array where workers see it, and where C finds it. */
export interface Placed<A> {
  /** 0 without native code. */
  readonly address: number
  /** Made when it is read first, where only C need know it: V8 collects garbage for every view of foreign memory. */
  readonly array: A
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

/** Whether two views have any byte in common. */
export function overlaps(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}

/** The blocks of a pool's memory that one call has acquired, released together. */
export class CallMemory {
  readonly #memory: Memory
  /** Undefined while there is none, as in most calls of one row. */
  #blocks: Uint8Array<SharedArrayBuffer>[] | undefined

  constructor(memory: Memory) {
    this.#memory = memory
  }

  /** Acquires at least `byteLength` bytes, 64-byte aligned, with arbitrary content. */
  acquire(byteLength: number): Uint8Array<SharedArrayBuffer> {
    const block = this.#memory.acquire(byteLength)
    if (this.#blocks === undefined) this.#blocks = [block]
    else this.#blocks.push(block)
    return block
  }

  /** Places data where workers see it: returns the data itself if they do, or else a copy. */
  place<T extends TensorType>(type: T, data: TensorData[T]): TensorData[T] {
    if (this.#memory.sees(data)) return data
    const copy = viewAs(type, this.acquire(data.byteLength), data.length)
    ;(copy as Float32Array).set(data as Float32Array)
    return copy
  }

  /** Releases all blocks, which must not be used any more. */
  release(): void {
    for (const block of this.#blocks ?? []) this.#memory.release(block)
    this.#blocks = undefined
  }
}

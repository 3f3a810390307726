import { collectGarbage } from './collect-garbage.js'
import type * as wasm from './wasm-api.js'

/** The size of a cache line, bytes. Allocations consist of whole lines. */
const LINE = 64

const PAGE = 65536

interface Block {
  offset: number
  size: number
}

/** Memory that is allocated. */
interface Allocation {
  block: Block
  /**
   * V8 does not count the memory of an allocation. An untouched buffer of the same size, which takes address space
   * only, makes it run the garbage collector in time.
   */
  ballast: ArrayBuffer
}

/**
 * Allocates from a shared WebAssembly.Memory, and frees what is no longer referenced. Each allocation is a view of a
 * buffer object of its own, which covers the whole memory: so the allocation lives as long as any view of that buffer.
 * Its address is the view's byteOffset.
 */
export class WasmHeap {
  readonly #memory: wasm.Memory
  /** Free blocks, sorted by offset; no two are adjacent. */
  readonly #free: Block[] = []
  /** The end of all memory that was ever allocated. */
  #end: number
  readonly #allocations = new WeakMap<ArrayBufferLike, Allocation>()
  /** The buffer of each allocated block. */
  readonly #buffers = new Map<Block, WeakRef<SharedArrayBuffer>>()
  readonly #registry = new FinalizationRegistry<Block>((block) => this.#release(block))

  /** @param base the first free byte */
  constructor(memory: wasm.Memory, base: number) {
    this.#memory = memory
    this.#end = Math.ceil(base / LINE) * LINE
  }

  /**
   * Allocates zeroed memory, 64-byte aligned.
   *
   * @throws RangeError if there is not enough
   */
  allocate(byteLength: number): Uint8Array<SharedArrayBuffer> {
    const size = Math.max(1, Math.ceil(byteLength / LINE)) * LINE
    let offset = this.#take(size)
    if (offset === undefined) {
      this.#collect()
      offset = this.#take(size)
    }
    if (offset === undefined) {
      throw new RangeError(`${size} bytes are not free in the 4 GiB that WebAssembly can address`)
    }
    const block: Block = { offset, size }
    const buffer = structuredClone(this.#memory.buffer)
    this.#allocations.set(buffer, { block, ballast: new ArrayBuffer(size) })
    this.#buffers.set(block, new WeakRef(buffer))
    this.#registry.register(buffer, block)
    return new Uint8Array(buffer, offset, byteLength)
  }

  /** Frees an allocation that is still referenced, but must not be used any more. */
  free(view: ArrayBufferView): void {
    const allocation = this.#allocations.get(view.buffer)
    if (allocation === undefined) return
    this.#allocations.delete(view.buffer)
    this.#release(allocation.block)
  }

  /** Whether this heap allocated the view's memory. */
  owns(view: ArrayBufferView): boolean {
    return this.#allocations.has(view.buffer)
  }

  #take(size: number): number | undefined {
    return this.#reuse(size) ?? this.#extend(size)
  }

  /** Frees at once what is no longer referenced; the registry would only do so in later turns of the event loop. */
  #collect(): void {
    collectGarbage()
    for (const [block, buffer] of this.#buffers) {
      if (buffer.deref() === undefined) this.#release(block)
    }
  }

  #reuse(size: number): number | undefined {
    const index = this.#free.findIndex((block) => block.size >= size)
    if (index < 0) return undefined
    const block = this.#free[index]
    const { offset } = block
    block.offset += size
    block.size -= size
    if (block.size === 0) this.#free.splice(index, 1)
    // as float64: a fill of shared memory writes one element at a time
    new Float64Array(this.#memory.buffer, offset, size / 8).fill(0)
    return offset
  }

  #extend(size: number): number | undefined {
    const offset = this.#end
    const pages = Math.ceil((offset + size - this.#memory.buffer.byteLength) / PAGE)
    if (pages > 0) {
      try {
        this.#memory.grow(pages)
      } catch {
        return undefined
      }
    }
    this.#end += size
    return offset
  }

  #release(allocated: Block): void {
    if (!this.#buffers.delete(allocated)) return
    const block = { ...allocated }
    const index = this.#free.findIndex(({ offset }) => offset > block.offset)
    const at = index < 0 ? this.#free.length : index
    const [before, after] = [this.#free[at - 1], this.#free[at]]
    const joinsAfter = after !== undefined && block.offset + block.size === after.offset
    if (joinsAfter) {
      after.offset = block.offset
      after.size += block.size
    }
    const joined = joinsAfter ? after : block
    if (before !== undefined && before.offset + before.size === block.offset) {
      before.size += joined.size
      if (joinsAfter) this.#free.splice(at, 1)
    } else if (!joinsAfter) {
      this.#free.splice(at, 0, block)
    }
  }
}

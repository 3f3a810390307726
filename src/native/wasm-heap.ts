import type * as wasm from './web-assembly.js'

/** An allocation begins at a cache line and fills whole ones, bytes. */
const LINE = 64

const PAGE = 65536

interface Block {
  offset: number
  size: number
}

/**
 * Hands out parts of a shared WebAssembly.Memory, and has them back when nobody holds them any more. Each
 * is a buffer of its own onto the whole memory, so that what keeps it alive is what keeps any buffer alive:
 * some view of it. A part's address is its view's byteOffset.
 */
export class WasmHeap {
  readonly #memory: wasm.Memory
  /** Sorted by offset, no two adjacent. */
  readonly #free: Block[] = []
  /** Nothing from here on was ever handed out. */
  #end: number
  /**
   * V8 does not count what a part of the memory takes. With each goes an untouched buffer of the same size,
   * which takes address space only, so that the collector runs when there is something to collect.
   */
  readonly #weights = new WeakMap<ArrayBufferLike, ArrayBuffer>()
  readonly #registry = new FinalizationRegistry<Block>((block) => this.#release(block))

  /** @param base nothing below is free, bytes */
  constructor(memory: wasm.Memory, base: number) {
    this.#memory = memory
    this.#end = Math.ceil(base / LINE) * LINE
  }

  /**
   * Zeroed memory, 64-byte aligned.
   *
   * @throws RangeError if there is not so much left
   */
  allocate(byteLength: number): Uint8Array<SharedArrayBuffer> {
    const size = Math.max(1, Math.ceil(byteLength / LINE)) * LINE
    const offset = this.#reuse(size) ?? this.#extend(size)
    const buffer = structuredClone(this.#memory.buffer)
    this.#registry.register(buffer, { offset, size })
    this.#weights.set(buffer, new ArrayBuffer(size))
    return new Uint8Array(buffer, offset, byteLength)
  }

  /** Whether the view is of memory that this heap handed out. */
  owns(view: ArrayBufferView): boolean {
    return this.#weights.has(view.buffer)
  }

  #reuse(size: number): number | undefined {
    const index = this.#free.findIndex((block) => block.size >= size)
    if (index < 0) return undefined
    const block = this.#free[index]
    const { offset } = block
    block.offset += size
    block.size -= size
    if (block.size === 0) this.#free.splice(index, 1)
    // by eight bytes: a fill of shared bytes writes one at a time
    new Float64Array(this.#memory.buffer, offset, size / 8).fill(0)
    return offset
  }

  #extend(size: number): number {
    const offset = this.#end
    const pages = Math.ceil((offset + size - this.#memory.buffer.byteLength) / PAGE)
    if (pages > 0) {
      try {
        this.#memory.grow(pages)
      } catch {
        throw new RangeError(`no ${size} bytes are left of the 4 GiB that WebAssembly can address`)
      }
    }
    this.#end += size
    return offset
  }

  #release(block: Block): void {
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

import { collectGarbage } from './collect-garbage.js'
import type * as wasm from './wasm-api.js'

/** An allocation begins at a cache line and fills whole ones, bytes. */
const LINE = 64

const PAGE = 65536

interface Block {
  offset: number
  size: number
}

/** A part that was handed out. */
interface Part {
  block: Block
  /**
   * V8 does not count what a part of the memory takes. With each goes an untouched buffer of the same size,
   * which takes address space only, so that the collector runs when there is something to collect.
   */
  weight: ArrayBuffer
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
  readonly #parts = new WeakMap<ArrayBufferLike, Part>()
  /** What is handed out, and to whom. */
  readonly #holders = new Map<Block, WeakRef<SharedArrayBuffer>>()
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
    let offset = this.#take(size)
    if (offset === undefined) {
      this.#collect()
      offset = this.#take(size)
    }
    if (offset === undefined) {
      throw new RangeError(`no ${size} bytes are left of the 4 GiB that WebAssembly can address`)
    }
    const block: Block = { offset, size }
    const buffer = structuredClone(this.#memory.buffer)
    this.#parts.set(buffer, { block, weight: new ArrayBuffer(size) })
    this.#holders.set(block, new WeakRef(buffer))
    this.#registry.register(buffer, block)
    return new Uint8Array(buffer, offset, byteLength)
  }

  /** Takes a part back before nobody holds it; it must not be used any more. */
  free(view: ArrayBufferView): void {
    const part = this.#parts.get(view.buffer)
    if (part === undefined) return
    this.#parts.delete(view.buffer)
    this.#release(part.block)
  }

  /** Whether the view is of memory that this heap handed out. */
  owns(view: ArrayBufferView): boolean {
    return this.#parts.has(view.buffer)
  }

  #take(size: number): number | undefined {
    return this.#reuse(size) ?? this.#extend(size)
  }

  /** Has back at once what nobody holds: the registry tells of it later, between turns of the event loop. */
  #collect(): void {
    collectGarbage()
    for (const [block, holder] of this.#holders) {
      if (holder.deref() === undefined) this.#release(block)
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
    // by eight bytes: a fill of shared bytes writes one at a time
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

  #release(part: Block): void {
    if (!this.#holders.delete(part)) return
    const block = { ...part }
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

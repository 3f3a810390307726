import { RegionLayout, WorkerLayout } from './layout.js'
import { type Handle, listKernels, type Native, type Servant } from './native.js'
import { WasmHeap } from './wasm-heap.js'
import * as wasm from './web-assembly.js'

/*
 * The C half as WebAssembly: for machines that the library is not built for. Every thread has an instance
 * of its own, and a stack; all of them share one memory, in which lies whatever C is to see.
 */

/** What WebAssembly with 32-bit addresses can have, and what it begins with, in pages of 64 KiB. */
const MOST_PAGES = 65536
const FIRST_PAGES = 64

/** As C declares them: an address is a number, maybe a negative one, and 64-bit integers are bigints. */
interface Exports {
  __heap_base: wasm.Global
  __stack_pointer: wasm.Global
  dp_compiler(): number
  dp_isa(): number
  dp_isa_name(index: number): number
  dp_isa_obstacle(index: number): number
  dp_select_isa(name: number): number
  dp_region_bytes(threads: number): bigint
  dp_region_init(region: number, threads: number): void
  dp_region_row_stride(region: number, k: number): bigint
  dp_progress_bytes(threads: number): bigint
  dp_publish(region: number, ops: number, progress: number, opCount: number, silent: number): number
  dp_serve(region: number, index: number, spinNanos: bigint, sliceNanos: bigint): number
  dp_help(region: number, epoch: number, sliceNanos: bigint): number
  dp_help_briefly(region: number, epoch: number, turnNanos: bigint): number
  dp_retire(region: number, index: number): void
}

function instantiate(module: wasm.Module, memory: wasm.Memory): Exports {
  const now = () => performance.timeOrigin + performance.now()
  const instance = new wasm.Instance(module, { env: { memory, now } })
  return instance.exports as unknown as Exports
}

/** An instance with a memory of its own. */
export function bindWasm(module: wasm.Module): Native {
  const memory = new wasm.Memory({
    initial: FIRST_PAGES,
    maximum: MOST_PAGES,
    shared: true,
  })
  const c = instantiate(module, memory)
  const heap = new WasmHeap(memory, c.__heap_base.value)
  /** A C string in memory; null for NULL. */
  const textAt = (address: number) => {
    if (address === 0) return null
    const bytes = new Uint8Array(memory.buffer)
    return Buffer.from(bytes.slice(address, bytes.indexOf(0, address))).toString()
  }
  const selectIsa = (name: string | null) => {
    if (name === null) return c.dp_select_isa(0) === 0
    const text = Buffer.from(`${name}\0`)
    const bytes = heap.allocate(text.length)
    bytes.set(text)
    return c.dp_select_isa(bytes.byteOffset) === 0
  }

  return {
    handle: { kind: 'wasm', module, memory },
    compiler: () => textAt(c.dp_compiler()) as string,
    isa: () => textAt(c.dp_isa()) as string,
    ...listKernels(
      (index) => textAt(c.dp_isa_name(index)),
      (index) => textAt(c.dp_isa_obstacle(index)),
    ),
    selectIsa,
    allocate: (byteLength) => heap.allocate(byteLength),
    free: (view) => heap.free(view),
    sees: (view) => heap.owns(view),
    seesAll: false,
    address: (view) => {
      if (!heap.owns(view)) throw new TypeError('WebAssembly does not see this memory')
      return view.byteOffset
    },
    regionBytes: (threads) => Number(c.dp_region_bytes(threads)),
    regionInit: c.dp_region_init,
    rowStride: (region, k) => Number(c.dp_region_row_stride(region, k)),
    adviseHugePages: () => -1,
    progressBytes: (threads) => Number(c.dp_progress_bytes(threads)),
    publish: (...args) => c.dp_publish(...args) >>> 0,
    help: (region, epoch, sliceNanos) => c.dp_help(region, epoch, BigInt(sliceNanos)),
    helpBriefly: (region, epoch, turnNanos) => c.dp_help_briefly(region, epoch, BigInt(turnNanos)),
    bury: c.dp_retire,
    ...servantOf(c, memory),
  }
}

/** What a worker thread has of it. */
export function joinWasm({ module, memory }: Handle & { kind: 'wasm' }): Servant {
  return servantOf(instantiate(module, memory), memory)
}

function servantOf(c: Exports, memory: wasm.Memory): Servant {
  return {
    serve: (region, index, spinNanos, sliceNanos) => {
      // a worker's stack ends where its scratch memory begins
      const worker = RegionLayout.workers + index * WorkerLayout.words
      const [stack] = new Uint32Array(
        memory.buffer,
        region + (worker + WorkerLayout.scratch) * 4,
        1,
      )
      c.__stack_pointer.value = stack
      return c.dp_serve(region, index, BigInt(spinNanos), BigInt(sliceNanos))
    },
    pinThread: () => {},
  }
}

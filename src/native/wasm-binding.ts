import { type Handle, listKernels, type Native, type WorkerNative } from './abi.js'
import { RegionLayout, WorkerLayout } from './layout.js'
import * as wasm from './wasm-api.js'
import { WasmHeap } from './wasm-heap.js'

/*
 * The native code as WebAssembly, for machines that no library is built for. Every thread has an instance and a stack
 * of its own; all share one memory, which holds everything that C sees.
 */

/** The most memory that 32-bit addresses can reach, and the initial memory, in pages of 64 KiB. */
const MAX_PAGES = 65536
const INITIAL_PAGES = 64

/** The functions as C declares them. Addresses are numbers, which can be negative; 64-bit integers are bigints. */
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

/** Binds the module with a memory of its own. */
export function bindWasm(module: wasm.Module): Native {
  const memory = new wasm.Memory({
    initial: INITIAL_PAGES,
    maximum: MAX_PAGES,
    shared: true,
  })
  const c = instantiate(module, memory)
  const heap = new WasmHeap(memory, c.__heap_base.value)
  /** Reads a C string; null for NULL. */
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
    mapFile: () => undefined,
    progressBytes: (threads) => Number(c.dp_progress_bytes(threads)),
    publish: (...args) => c.dp_publish(...args) >>> 0,
    help: (region, epoch, sliceNanos) => c.dp_help(region, epoch, BigInt(sliceNanos)),
    helpBriefly: (region, epoch, turnNanos) => c.dp_help_briefly(region, epoch, BigInt(turnNanos)),
    retire: c.dp_retire,
    ...workerNativeOf(c, memory),
  }
}

/** Binds the module in a worker thread, with the memory of its pool. */
export function joinWasm({ module, memory }: Handle & { kind: 'wasm' }): WorkerNative {
  return workerNativeOf(instantiate(module, memory), memory)
}

function workerNativeOf(c: Exports, memory: wasm.Memory): WorkerNative {
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

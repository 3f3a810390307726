import type { FileMapping } from './file-mapping.js'
import type * as wasm from './wasm-api.js'

/*
 * The interface of the native code, which is bound as a library (koffi-binding.ts) or as WebAssembly
 * (wasm-binding.ts). Addresses are passed as numbers: they are below 2^53 everywhere, and a number is cheaper to pass
 * than a bigint.
 */

/** The kernels of one ISA. */
export interface Kernels {
  isa: string
  /** Why they cannot run on this machine; null if they can. */
  obstacle: string | null
}

/** What a worker thread calls of the native code. */
export interface WorkerNative {
  /**
   * Makes the calling thread run on these CPUs only; does nothing on a system where threads cannot be pinned.
   *
   * @throws Error if the system refuses
   */
  pinThread(cpus: readonly number[]): void
  /** Returns a {@link Leave}. */
  serve(region: number, index: number, spinNanos: number, sliceNanos: number): number
}

/** What a worker thread needs to bind the same native code; posted to it as it starts. */
export type Handle =
  | { kind: 'library'; path: string }
  | { kind: 'wasm'; module: wasm.Module; memory: wasm.Memory }

/** The functions of native/include/dotpool.h, which documents them, and the memory that they see. */
export interface Native extends WorkerNative {
  readonly handle: Handle
  /** The compiler that built it, such as `gcc 12.2.0`. */
  compiler(): string
  /** The kernels that {@link selectIsa} selected last, such as `avx512vnni`. */
  isa(): string
  /** All kernels of this build, widest first. */
  kernels(): Kernels[]
  /** The ISAs of those that this machine can run, widest first. */
  isas(): string[]
  /** Selects the kernels of regions created from now on; null selects the widest. False: this machine cannot run them. */
  selectIsa(name: string | null): boolean
  /** Allocates zeroed shared memory that C sees, 64-byte aligned; throws a RangeError if it cannot. */
  allocate(byteLength: number): Uint8Array<SharedArrayBuffer>
  /** Frees memory of {@link allocate} before the garbage collector does; it must not be used any more. */
  free(view: ArrayBufferView): void
  /** Whether C sees the view's memory. */
  sees(view: ArrayBufferView): boolean
  /** Whether C sees all memory of the process. */
  readonly seesAll: boolean
  /** The address of a view that C sees. */
  address(view: ArrayBufferView): number
  regionBytes(threads: number): number
  regionInit(region: number, threads: number): void
  rowStride(region: number, k: number): number
  adviseHugePages(address: number, bytes: number): number
  /**
   * Maps a file, read-only, in memory that all processes share which map it; undefined where C cannot see such memory.
   *
   * @throws Error if the system refuses
   */
  mapFile(path: string): FileMapping | undefined
  progressBytes(threads: number): number
  publish(region: number, ops: number, progress: number, opCount: number, silent: number): number
  help(region: number, epoch: number, sliceNanos: number): number
  helpBriefly(region: number, epoch: number, turnNanos: number): number
  retire(region: number, index: number): void
}

/** Lists kernels by calling dp_isa_name and dp_isa_obstacle. */
export function listKernels(
  name: (index: number) => string | null,
  obstacle: (index: number) => string | null,
): Pick<Native, 'kernels' | 'isas'> {
  const kernels = () => {
    const all: Kernels[] = []
    for (let i = 0, isa = name(i); isa !== null; isa = name(++i)) {
      all.push({ isa, obstacle: obstacle(i) })
    }
    return all
  }
  const isas = () => kernels().flatMap(({ isa, obstacle }) => (obstacle === null ? [isa] : []))
  return { kernels, isas }
}

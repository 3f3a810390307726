import type * as wasm from './wasm-api.js'

/*
 * What JavaScript knows of the C half, whichever way it is reached: as a library (koffi-binding.ts) or as
 * WebAssembly (wasm-binding.ts). Addresses travel as numbers: they are below 2^53 everywhere, and a number is
 * cheaper to pass than a bigint.
 */

/** The kernels of one ISA. */
export interface Kernels {
  isa: string
  /** What keeps them from running on this machine; null if nothing does. */
  obstacle: string | null
}

/** What a worker thread calls. */
export interface Servant {
  /**
   * Lets the calling thread run on these CPUs only; does nothing where C cannot do that.
   *
   * @throws Error where the system does not allow it
   */
  pinThread(cpus: readonly number[]): void
  /** Returns a {@link Leave}. */
  serve(region: number, index: number, spinNanos: number, sliceNanos: number): number
}

/** What a worker thread needs to reach the same C: posted to it as it starts. */
export type Handle =
  | { kind: 'library'; path: string }
  | { kind: 'wasm'; module: wasm.Module; memory: wasm.Memory }

/** The functions of native/include/dotpool.h, which says what each does, and the memory that they see. */
export interface Native extends Servant {
  readonly handle: Handle
  /** The compiler that built it, e.g. `gcc 12.2.0`. */
  compiler(): string
  /** The kernels that {@link selectIsa} chose last, e.g. `avx512vnni`. */
  isa(): string
  /** All that there are, widest first. */
  kernels(): Kernels[]
  /** All that this machine can run, widest first. */
  isas(): string[]
  /** Chooses the kernels of regions made from now on; null chooses the widest. False: cannot be. */
  selectIsa(name: string | null): boolean
  /** Zeroed shared memory that C sees, its first byte 64-byte aligned; a RangeError if there is none. */
  allocate(byteLength: number): Uint8Array<SharedArrayBuffer>
  /** Takes back what {@link allocate} gave, which must not be used any more; for what is large and short-lived. */
  free(view: ArrayBufferView): void
  /** Whether C sees the view's memory. */
  sees(view: ArrayBufferView): boolean
  /** Whether it sees all memory there is. */
  readonly seesAll: boolean
  /** Where C finds a view that it sees. */
  address(view: ArrayBufferView): number
  regionBytes(threads: number): number
  regionInit(region: number, threads: number): void
  rowStride(region: number, k: number): number
  adviseHugePages(address: number, bytes: number): number
  progressBytes(threads: number): number
  publish(region: number, ops: number, progress: number, opCount: number, silent: number): number
  help(region: number, epoch: number, sliceNanos: number): number
  helpBriefly(region: number, epoch: number, turnNanos: number): number
  bury(region: number, index: number): void
}

/** What tells of kernels, by dp_isa_name and dp_isa_obstacle. */
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

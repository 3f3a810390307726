import type * as wasm from './wasm-api.js'

/*
 * What JavaScript knows of the C half, whichever way it is reached: as a library (koffi-binding.ts) or as
 * WebAssembly (wasm-binding.ts). Addresses travel as numbers: they are below 2^53 everywhere, and a number is
 * cheaper to pass than a bigint.
 */

/** Byte offsets and sizes in the region's shared memory, as C laid it out. */
export interface RegionLayout {
  epoch: number
  stop: number
  seats: number
  notice: number
  workers: number
  workerBytes: number
  workerSeat: number
  workerCursor: number
  workerEntered: number
  workerScratch: number
  workerStats: number
  ring: number
  slotBytes: number
  slotCompleted: number
  slotAborted: number
  slotFault: number
  slotOps: number
  opBytes: number
  ringLength: number
  opsPerSlot: number
}

/** In the order in which dp_layout writes them. */
const layoutFields: (keyof RegionLayout)[] = [
  'epoch',
  'stop',
  'seats',
  'notice',
  'workers',
  'workerBytes',
  'workerSeat',
  'workerCursor',
  'workerEntered',
  'workerScratch',
  'workerStats',
  'ring',
  'slotBytes',
  'slotCompleted',
  'slotAborted',
  'slotFault',
  'slotOps',
  'opBytes',
  'ringLength',
  'opsPerSlot',
]

/** Why a worker came back from {@link Native.serve}; dp_leave in C. */
export const Leave = { idle: 0, notice: 1, slice: 2, unseated: 3, stop: 4 } as const

/** State of a worker's seat; dp_seat in C. */
export const Seat = { empty: 0, taken: 1, parked: 2, dismissed: 3 } as const

/** The kernels of one ISA. */
export interface Kernels {
  isa: string
  /** What keeps them from running on this machine; null if nothing does. */
  obstacle: string | null
}

/** What a worker thread calls. */
export interface WorkerNative {
  readonly layout: RegionLayout
  /**
   * Lets the calling thread run on these CPUs only; does nothing where C cannot do that.
   *
   * @throws Error where the system does not allow it
   */
  pinThread(cpus: readonly number[]): void
  serve(region: number, index: number, spinNanos: number, sliceNanos: number): number
}

/** What a worker thread needs to reach the same C: posted to it as it starts. */
export type Handle =
  | { kind: 'library'; path: string }
  | { kind: 'wasm'; module: wasm.Module; memory: wasm.Memory; layout: RegionLayout }

/** The functions of native/include/dotpool.h, which says what each does, and the memory that they see. */
export interface Native extends WorkerNative {
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
  retire(region: number, index: number): void
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

/** The layout that dp_layout writes. */
export function readLayout(write: (words: Uint32Array) => void): RegionLayout {
  const words = new Uint32Array(32)
  write(words)
  return Object.fromEntries(
    layoutFields.map((field, i) => [field, words[i]]),
  ) as unknown as RegionLayout
}

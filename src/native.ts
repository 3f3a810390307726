import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import type koffi from 'koffi'
import { ArgumentError, describe } from './errors.js'
import { findLibrary, type Library, whyNoLibrary } from './library.js'

/*
 * The only file that knows koffi. Addresses travel as numbers: they are below 2^53 everywhere, and a
 * number is cheaper to pass than a bigint.
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
  workerOp: number
  workerEntered: number
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
  'workerOp',
  'workerEntered',
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

/** The native library's functions; native/include/dotpool.h says what each does. */
export interface Native {
  readonly layout: RegionLayout
  /** The kernels that {@link selectIsa} chose last, e.g. `avx512vnni`. */
  isa(): string
  /** Those that this machine can run, widest first. */
  isas(): string[]
  /** All of this CPU's architecture, widest first. */
  kernels(): Kernels[]
  /** Chooses the kernels of regions made from now on; null chooses the widest. False: cannot be. */
  selectIsa(name: string | null): boolean
  address(view: ArrayBufferView): number
  regionBytes(threads: number): number
  regionInit(region: number, threads: number): void
  rowStride(region: number, k: number): number
  adviseHugePages(address: number, bytes: number): number
  /**
   * Lets the calling thread run on these CPUs only.
   *
   * @throws Error where the system does not allow it
   */
  pinThread(cpus: readonly number[]): void
  progressBytes(threads: number): number
  publish(region: number, ops: number, progress: number, opCount: number, silent: number): number
  serve(region: number, index: number, spinNanos: number, sliceNanos: number): number
  help(region: number, epoch: number): void
}

function bind(path: string): Native {
  const api = createRequire(import.meta.url)('koffi') as typeof koffi
  const library = api.load(path)
  const words = new Uint32Array(32)
  library.func('void dp_layout(_Out_ uint32_t *out)')(words)
  const layout = Object.fromEntries(
    layoutFields.map((field, i) => [field, words[i]]),
  ) as unknown as RegionLayout
  const isaName = library.func('const char *dp_isa_name(uint32_t index)')
  const isaObstacle = library.func('const char *dp_isa_obstacle(uint32_t index)')
  const kernels = () => {
    const all: Kernels[] = []
    for (let i = 0, isa = isaName(i); isa !== null; isa = isaName(++i)) {
      all.push({ isa, obstacle: isaObstacle(i) })
    }
    return all
  }
  const pinThread = library.func('int dp_pin_thread(const uint32_t *cpus, uint32_t count)')
  const selectIsa = library.func('int dp_select_isa(const char *name)')
  return {
    layout,
    isa: library.func('const char *dp_isa()') as () => string,
    kernels,
    isas: () => kernels().flatMap(({ isa, obstacle }) => (obstacle === null ? [isa] : [])),
    selectIsa: (name) => selectIsa(name) === 0,
    address: (view) => Number(api.address(view)),
    regionBytes: library.func(
      'uint64_t dp_region_bytes(uint32_t threads)',
    ) as Native['regionBytes'],
    regionInit: library.func(
      'void dp_region_init(uint64_t region, uint32_t threads)',
    ) as Native['regionInit'],
    rowStride: library.func(
      'uint64_t dp_region_row_stride(uint64_t region, uint32_t k)',
    ) as Native['rowStride'],
    adviseHugePages: library.func(
      'int dp_advise_huge_pages(uint64_t address, uint64_t bytes)',
    ) as Native['adviseHugePages'],
    pinThread: (cpus) => {
      const problem: number = pinThread(Uint32Array.from(cpus), cpus.length)
      if (problem !== 0) {
        throw new Error(`CPUs ${cpus.join(', ')}: ${getSystemErrorName(-problem)}`)
      }
    },
    progressBytes: library.func(
      'uint64_t dp_progress_bytes(uint32_t threads)',
    ) as Native['progressBytes'],
    publish: library.func(
      'uint32_t dp_publish(uint64_t region, uint64_t ops, uint64_t progress, uint32_t op_count, uint32_t silent)',
    ) as Native['publish'],
    serve: library.func(
      'int dp_serve(uint64_t region, uint32_t index, uint64_t spin_ns, uint64_t slice_ns)',
    ) as Native['serve'],
    help: library.func('void dp_help(uint64_t region, uint32_t epoch)') as Native['help'],
  }
}

interface Loaded {
  native: Native | null
  library: Library | null
  problem: string
}

let loaded: Loaded | undefined

function load(): Loaded {
  const library = findLibrary()
  if (library === null) return { native: null, library, problem: whyNoLibrary() }
  try {
    return { native: bind(library.path), library, problem: '' }
  } catch (error) {
    if (library.origin === 'DOTPOOL_LIBRARY') {
      throw new ArgumentError(
        'DOTPOOL_LIBRARY',
        "dotpool's library for this machine",
        String(error),
      )
    }
    return { native: null, library, problem: `the native library does not load: ${String(error)}` }
  }
}

/**
 * The native library, or null where it cannot be had: {@link nativeProblem} says why.
 *
 * @throws ArgumentError if DOTPOOL_LIBRARY names a file that is not there or does not load
 */
export function loadNative(): Native | null {
  loaded ??= load()
  return loaded.native
}

/** Why there is no native library and what to do about it, in one line; empty if there is one. */
export function nativeProblem(): string {
  loaded ??= load()
  return loaded.problem
}

/** The native library's file, whether it loads or not; null if there is none. */
export function nativeLibrary(): Library | null {
  loaded ??= load()
  return loaded.library
}

/**
 * The library with the kernels that the environment variable DOTPOOL_ISA asks for, or the widest
 * that the CPU runs; null for `typescript` or where there is no library.
 *
 * @throws ArgumentError if DOTPOOL_ISA names something this CPU or build cannot run, or DOTPOOL_LIBRARY
 *   a file that is not there or does not load
 */
export function chooseNative(): Native | null {
  const wanted = process.env.DOTPOOL_ISA
  if (wanted === 'typescript') return null
  const native = loadNative()
  if (wanted === undefined || wanted === '') {
    native?.selectIsa(null)
    return native
  }
  if (native === null || !native.selectIsa(wanted)) {
    const choices = [...(native?.isas() ?? []), 'typescript'].join(', ')
    throw new ArgumentError('DOTPOOL_ISA', `one of ${choices} on this machine`, describe(wanted))
  }
  return native
}

import { availableParallelism } from 'node:os'
import { cgroupQuota } from '../cpus/cgroup-quota.js'
import { type FastCores, fastCores } from '../cpus/fast-cores.js'
import { describeMachine, type Machine } from '../measure/machine.js'
import { measurePeakRate, type PeakRate } from '../measure/peak-rate.js'
import { timeMeetings } from '../measure/region.js'
import { type Roofline, Rooflines } from '../measure/rooflines.js'
import { summarize } from '../measure/samples.js'
import type { Kernels, Native } from '../native/abi.js'
import { type Library, libraryPlaces, type Place } from '../native/library.js'
import { allKernels, nativeLibrary, nativeProblem, wasmModule } from '../native/load.js'
import { Pool } from '../pool/pool.js'
import { version } from '../version.js'
import { hugePageBytes, hugePageSetting } from './huge-pages.js'

/** All findings of `dotpool doctor`; null for what it could not find out. */
export interface Diagnosis {
  version: string
  node: string
  machine: Machine
  native: {
    library: Library | null
    /** The compiler that built the kernels in use; null where those are TypeScript. */
    compiler: string | null
    /** Why there is no native library and what to do about it. */
    problem: string | null
    /** Where the library was looked for. */
    places: Place[]
    /** The module that is used where there is no library. */
    wasm: { path: string | null; problem: string | null }
  }
  /** The kernels in use. */
  isa: string
  /** The value of the environment variable DOTPOOL_ISA. */
  wantedIsa: string | null
  /** All kernels for this architecture, best first, and what keeps them from running here. */
  kernels: Kernels[]
  threads: {
    count: number
    /** CPUs of the process's affinity mask. */
    affinity: number
    /** The quota of the control groups in CPUs; null where they set no limit. */
    quota: number | null
    /** The fast ones among them, where the system tells fast cores from slow ones. */
    fast: FastCores | null
  }
  hugePages: {
    setting: string | null
    /** Of the buffer that `readGBs` was measured with. */
    bufferBytes: number | null
    hugeBytes: number | null
  }
  measured: Measured | null
}

export interface Measured {
  /** Read bandwidth of all threads, GB/s. */
  readGBs: number
  /** int8 operations of all threads, two for each multiply-add, GOPS. */
  multiplyGops: number
  /** The multiply rate of one core, and its clock. */
  peakRate: PeakRate
  /** A region in which all threads meet, sync, microseconds. */
  regionMicros: { p50: number; p99: number }
}

/** Passes over memory, and bursts of multiplies; their medians are reported. */
const SAMPLES = 9

/** @throws ArgumentError for a DOTPOOL_ISA or DOTPOOL_LIBRARY this machine cannot run */
export async function diagnose(): Promise<Diagnosis> {
  await using pool = await Pool.create()
  const quota = cgroupQuota()
  const wasm = wasmModule()
  return {
    version,
    node: process.version,
    machine: describeMachine(),
    native: {
      library: nativeLibrary(),
      compiler: pool.native?.compiler() ?? null,
      problem: nativeProblem() || null,
      places: libraryPlaces(),
      wasm: { path: wasm.path, problem: wasm.problem || null },
    },
    isa: pool.isa,
    wantedIsa: process.env.DOTPOOL_ISA || null,
    kernels: allKernels(),
    threads: {
      count: pool.threads,
      affinity: availableParallelism(),
      quota: Number.isFinite(quota) ? quota : null,
      fast: fastCores(),
    },
    ...(pool.native === null ? unmeasured() : await measure(pool, pool.native)),
  }
}

type Measurements = Pick<Diagnosis, 'hugePages' | 'measured'>

function unmeasured(): Measurements {
  return {
    hugePages: { setting: hugePageSetting(), bufferBytes: null, hugeBytes: null },
    measured: null,
  }
}

async function measure(pool: Pool, native: Native): Promise<Measurements> {
  const rooflines = new Rooflines(pool, native)
  const { read, peak, memory } = rooflines
  const region = summarize(await timeMeetings(pool, { millis: 200, calls: SAMPLES }))
  return {
    hugePages: {
      setting: hugePageSetting(),
      bufferBytes: memory.byteLength,
      // WebAssembly's addresses are not the system's
      hugeBytes: native.seesAll ? hugePageBytes(native.address(memory), memory.byteLength) : null,
    },
    measured: {
      readGBs: medianOf(read),
      multiplyGops: medianOf(peak),
      peakRate: measurePeakRate(rooflines, pool.isa),
      regionMicros: { p50: region.median, p99: region.p99 },
    },
  }
}

function medianOf(roofline: Roofline): number {
  return summarize(Array.from({ length: SAMPLES }, () => roofline.sample())).median
}

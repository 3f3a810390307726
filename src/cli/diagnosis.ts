import { availableParallelism } from 'node:os'
import { cgroupQuota } from '../cpus/cgroup-quota.js'
import { type FastCores, fastCores } from '../cpus/fast-cores.js'
import { type Library, libraryPlaces, type Place } from '../native/library.js'
import { allKernels, nativeLibrary, nativeProblem, wasmModule } from '../native/load.js'
import type { Kernels, Native } from '../native/native.js'
import { Pool } from '../pool/pool.js'
import { hugePageBytes, hugePageSetting } from './huge-pages.js'
import { describeMachine, type Machine } from './machine.js'
import { measurePeakRate, type PeakRate } from './measure/peak-rate.js'
import { timeMeetings } from './measure/region.js'
import { type Roofline, Rooflines } from './measure/rooflines.js'
import { summarize } from './measure/samples.js'
import { version } from './package.js'

/** All that `dotpool doctor` finds out; what it could not is null. */
export interface Diagnosis {
  version: string
  node: string
  machine: Machine
  native: {
    library: Library | null
    /** The compiler that built the kernels that run; null where those are TypeScript. */
    compiler: string | null
    /** Why there is no native library and what to do about it. */
    problem: string | null
    /** Where it was looked for. */
    places: Place[]
    /** The module that serves where there is no library. */
    wasm: { path: string | null; problem: string | null }
  }
  /** Which kernels run. */
  isa: string
  /** What the environment variable DOTPOOL_ISA asks for. */
  wantedIsa: string | null
  /** All kernels there are for this architecture, best first, and what keeps them from running here. */
  kernels: Kernels[]
  threads: {
    count: number
    /** CPUs of the process's affinity mask. */
    affinity: number
    /** CPUs' worth of time that control groups grant; null where they do not limit it. */
    quota: number | null
    /** Those of them that count, where the system tells fast cores from slow ones. */
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
  /** The same of a core, beside its clock. */
  peakRate: PeakRate
  /** A region in which all threads meet, sync, microseconds. */
  regionMicros: { p50: number; p99: number }
}

/** Passes over memory and bursts of multiplying; their medians are told. */
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

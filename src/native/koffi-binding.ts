import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import type koffi from 'koffi'
import { listKernels, type Native } from './abi.js'
import { FileMapping } from './file-mapping.js'
import { MappingLayout } from './layout.js'

/* The native library; the only file that knows koffi. */

const ALIGNMENT = 64

function loadKoffi(): typeof koffi {
  try {
    return createRequire(import.meta.url)('koffi')
  } catch (error) {
    throw new Error(`koffi, which calls the library, does not load: ${String(error)}`)
  }
}

/** Loads the library; throws koffi's error if it is not one for this machine. */
export function bindLibrary(path: string): Native {
  const api = loadKoffi()
  const library = api.load(path)
  const isaName = library.func('const char *dp_isa_name(uint32_t index)')
  const isaObstacle = library.func('const char *dp_isa_obstacle(uint32_t index)')
  const pinThread = library.func('int dp_pin_thread(const uint32_t *cpus, uint32_t count)')
  const selectIsa = library.func('int dp_select_isa(const char *name)')
  const mapFile = library.func('int dp_map_file(const char *path, uint64_t *mapping)')
  const unmapFile = library.func('void dp_unmap_file(const uint64_t *mapping)')
  const unmapped = new FinalizationRegistry<BigUint64Array>((mapping) => unmapFile(mapping))
  const address = (view: ArrayBufferView) => Number(api.address(view))
  return {
    handle: { kind: 'library', path },
    compiler: library.func('const char *dp_compiler()') as Native['compiler'],
    isa: library.func('const char *dp_isa()') as Native['isa'],
    ...listKernels(isaName, isaObstacle),
    selectIsa: (name) => selectIsa(name) === 0,
    // the base of a SharedArrayBuffer is only 16-byte aligned, so the view starts inside a larger buffer
    allocate: (byteLength) => {
      const buffer = new SharedArrayBuffer(byteLength + ALIGNMENT)
      const base = address(new Uint8Array(buffer))
      return new Uint8Array(buffer, (ALIGNMENT - (base % ALIGNMENT)) % ALIGNMENT, byteLength)
    },
    free: () => {},
    sees: () => true,
    seesAll: true,
    address,
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
    mapFile: (path) => {
      const words = new BigUint64Array(MappingLayout.words / 2)
      const problem: number = mapFile(path, words)
      if (problem !== 0) throw new Error(`cannot be mapped: ${systemErrorOf(problem)}`)
      const [start, byteLength] = [MappingLayout.address, MappingLayout.bytes].map((at) =>
        Number(words[at / 2]),
      )
      const mapping = new FileMapping(start, byteLength, (at, length) => api.view(at, length))
      unmapped.register(mapping, words)
      return mapping
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
    pinThread: (cpus) => {
      const problem: number = pinThread(Uint32Array.from(cpus), cpus.length)
      if (problem !== 0) throw new Error(`CPUs ${cpus}: ${getSystemErrorName(-problem)}`)
    },
    help: library.func(
      'uint32_t dp_help(uint64_t region, uint32_t epoch, uint64_t slice_ns)',
    ) as Native['help'],
    helpBriefly: library.func(
      'uint32_t dp_help_briefly(uint64_t region, uint32_t epoch, uint64_t turn_ns)',
    ) as Native['helpBriefly'],
    retire: library.func('void dp_retire(uint64_t region, uint32_t index)') as Native['retire'],
  }
}

/** What the system calls an error of C. */
function systemErrorOf(problem: number): string {
  if (process.platform === 'win32') return `system error ${problem}`
  const name = getSystemErrorName(-problem)
  return name === 'EAGAIN' ? 'another process has locked it, to write to it' : name
}

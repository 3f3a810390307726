import { readFileSync, statSync } from 'node:fs'
import { ArgumentError, checkPath, describe } from '../errors.js'
import type { Handle, Kernels, Native, WorkerNative } from './abi.js'
import { bindLibrary } from './koffi-binding.js'
import { findLibrary, findWasm, type Library, whyNoLibrary } from './library.js'
import * as wasm from './wasm-api.js'
import { bindWasm, joinWasm } from './wasm-binding.js'

/* Loads the native code: the library, or else the WebAssembly module. Each is opened once, on first use. */

const opened = new Map<string, Native>()

function open(path: string): Native {
  let native = opened.get(path)
  if (native === undefined) {
    native = path.endsWith('.wasm')
      ? bindWasm(new wasm.Module(readFileSync(path)))
      : bindLibrary(path)
    opened.set(path, native)
  }
  return native
}

/** Opens a file that the caller named; `argument` is for the error. */
function openNamed(argument: string, path: unknown): Native {
  checkPath(argument, path)
  // opening a FIFO would block for ever
  const isOther = statSync(path, { throwIfNoEntry: false })?.isFile() === false
  if (isOther) throw new ArgumentError(argument, 'a regular file', describe(path))
  try {
    return open(path)
  } catch (error) {
    throw new ArgumentError(argument, "dotpool's library for this machine", String(error))
  }
}

/** The native library. */
const library = once((): { native: Native | null; file: Library | null; problem: string } => {
  const file = findLibrary()
  if (file === null) return { native: null, file, problem: whyNoLibrary() }
  if (file.origin === 'DOTPOOL_LIBRARY') {
    return { native: openNamed(file.origin, file.path), file, problem: '' }
  }
  try {
    return { native: open(file.path), file, problem: '' }
  } catch (error) {
    return { native: null, file, problem: `the native library does not load: ${String(error)}` }
  }
})

/** The WebAssembly module. */
const module = once((): { native: Native | null; path: string | null; problem: string } => {
  const path = findWasm()
  if (path === null) return { native: null, path, problem: 'none was built' }
  try {
    return { native: open(path), path, problem: '' }
  } catch (error) {
    // it reserves 4 GiB of address space at once, which a limit of the process may forbid
    return { native: null, path, problem: `cannot run: ${String(error)}` }
  }
})

/** Calls `make` on first use, and keeps what it returns. */
function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

/**
 * The native library, or null if there is none that loads: {@link nativeProblem} says why.
 *
 * @throws ArgumentError if DOTPOOL_LIBRARY names a file that does not exist or does not load
 */
export function loadNative(): Native | null {
  return library().native
}

/** Why there is no native library and what to do about it, in one line; empty if there is one. */
export function nativeProblem(): string {
  return library().problem
}

/** The file of the native library, whether or not it loads; null if there is none. */
export function nativeLibrary(): Library | null {
  return library().file
}

/** The native code as WebAssembly, or null if there is none that runs: {@link wasmModule} says why. */
export function loadWasm(): Native | null {
  return module().native
}

/** The file of the WebAssembly module, null if there is none, and why it does not run, empty if it does. */
export function wasmModule(): { path: string | null; problem: string } {
  const { path, problem } = module()
  return { path, problem }
}

/** All kernels for this architecture, best first. */
export function allKernels(): Kernels[] {
  const natives = [loadNative(), loadWasm()]
  const kernels = natives.flatMap((native) => native?.kernels() ?? [])
  return [...kernels, { isa: 'typescript', obstacle: null }]
}

/** The values that DOTPOOL_ISA can have on this machine, best first. */
export function possibleIsas(): string[] {
  return allKernels().flatMap(({ isa, obstacle }) => (obstacle === null ? [isa] : []))
}

/**
 * Chooses the native code with the kernels that the environment variable DOTPOOL_ISA names, or the widest that the CPU
 * can run; null for `typescript`, or if there is none.
 *
 * @param file a library or a WebAssembly module, instead of those that are searched for
 * @throws ArgumentError if DOTPOOL_ISA names kernels that this CPU or build cannot run, or if DOTPOOL_LIBRARY or `file`
 *   names a file that does not exist or does not load
 */
export function chooseNative(file?: string): Native | null {
  const wanted = process.env.DOTPOOL_ISA || null
  if (wanted === 'typescript') return null
  const loaders =
    file === undefined ? [loadNative, loadWasm] : [() => openNamed('nativeLibrary', file)]
  for (const load of loaders) {
    const native = load()
    if (native?.selectIsa(wanted)) return native
  }
  if (wanted === null) return null
  const isas = file === undefined ? possibleIsas() : openNamed('nativeLibrary', file).isas()
  throw new ArgumentError(
    'DOTPOOL_ISA',
    `one of ${isas.join(', ')} on this machine`,
    describe(wanted),
  )
}

/** Binds, in a worker thread, the native code that the thread of its pool has bound. */
export function openForWorker(handle: Handle): WorkerNative {
  return handle.kind === 'wasm' ? joinWasm(handle) : bindLibrary(handle.path)
}

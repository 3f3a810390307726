import { readFileSync, statSync } from 'node:fs'
import { ArgumentError, checkPath, describe } from '../errors.js'
import type { Handle, Kernels, Native, WorkerNative } from './abi.js'
import { bindLibrary } from './koffi-binding.js'
import { findLibrary, findWasm, type Library, whyNoLibrary } from './library.js'
import * as wasm from './wasm-api.js'
import { bindWasm, joinWasm } from './wasm-binding.js'

/* Which C half serves: the native library, else wasm. Each is opened once, when it is asked for. */

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

/** Opens a file that the caller names; `argument` is for the error. */
function openNamed(argument: string, path: unknown): Native {
  checkPath(argument, path)
  // to open a FIFO waits for ever
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

/** The same as WebAssembly. */
const module = once((): { native: Native | null; path: string | null; problem: string } => {
  const path = findWasm()
  if (path === null) return { native: null, path, problem: 'none was built' }
  try {
    return { native: open(path), path, problem: '' }
  } catch (error) {
    // its 4 GiB of addresses are set aside at once, which a limit of the process may forbid
    return { native: null, path, problem: `cannot run: ${String(error)}` }
  }
})

/** What `make` gives, made when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

/**
 * The native library, or null where it cannot be had: {@link nativeProblem} says why.
 *
 * @throws ArgumentError if DOTPOOL_LIBRARY names a file that is not there or does not load
 */
export function loadNative(): Native | null {
  return library().native
}

/** Why there is no native library and what to do about it, in one line; empty if there is one. */
export function nativeProblem(): string {
  return library().problem
}

/** The native library's file, whether it loads or not; null if there is none. */
export function nativeLibrary(): Library | null {
  return library().file
}

/** The same as WebAssembly, or null where it cannot be had: {@link wasmModule} says why. */
export function loadWasm(): Native | null {
  return module().native
}

/** The WebAssembly module's file, null if there is none, and why it does not run; empty if it does. */
export function wasmModule(): { path: string | null; problem: string } {
  const { path, problem } = module()
  return { path, problem }
}

/** All kernels there are for this architecture, best first. */
export function allKernels(): Kernels[] {
  const natives = [loadNative(), loadWasm()]
  const kernels = natives.flatMap((native) => native?.kernels() ?? [])
  return [...kernels, { isa: 'typescript', obstacle: null }]
}

/** What DOTPOOL_ISA can be on this machine, best first. */
export function possibleIsas(): string[] {
  return allKernels().flatMap(({ isa, obstacle }) => (obstacle === null ? [isa] : []))
}

/**
 * The C half with the kernels that the environment variable DOTPOOL_ISA asks for, or the widest that the
 * CPU runs; null for `typescript` or where there is no C.
 *
 * @param file a library, or a WebAssembly module, to use instead of what is found
 * @throws ArgumentError if DOTPOOL_ISA names something this CPU or build cannot run, or DOTPOOL_LIBRARY
 *   or `file` a file that is not there or does not load
 */
export function chooseNative(file?: string): Native | null {
  const wanted = process.env.DOTPOOL_ISA || null
  if (wanted === 'typescript') return null
  const ways =
    file === undefined ? [loadNative, loadWasm] : [() => openNamed('nativeLibrary', file)]
  for (const way of ways) {
    const native = way()
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

/** Opens in a worker thread what another one has open. */
export function openForWorker(handle: Handle): WorkerNative {
  return handle.kind === 'wasm' ? joinWasm(handle) : bindLibrary(handle.path)
}

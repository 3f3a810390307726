import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError, describe } from '../errors.js'
import * as wasm from './wasm-api.js'

/** The native library's file. */
export interface Library {
  path: string
  /** Where it comes from: `DOTPOOL_LIBRARY`, `native/build`, or the name of the package that contains it. */
  origin: string
}

const file = `libdotpool.${{ darwin: 'dylib', win32: 'dll' }[process.platform as string] ?? 'so'}`
const builtPath = fileURLToPath(new URL(`../../../native/build/${file}`, import.meta.url))
const buildScript = fileURLToPath(new URL('../../../native/build.js', import.meta.url))

/** Packages with prebuilt libraries. On Linux npm installs the one for the machine's libc. */
const platform = `@dotpool/${process.platform}-${process.arch}`
const packages = process.platform === 'linux' ? [platform, `${platform}-musl`] : [platform]

/** A place where a library is searched for. */
export interface Place extends Library {
  /** Whether the file exists. */
  exists: boolean
}

/**
 * Where a native library is searched for; the first that exists is used. If the environment variable DOTPOOL_LIBRARY
 * names a file, that is the only place; otherwise they are the build folder and the platform's packages.
 */
export function libraryPlaces(): Place[] {
  const wanted = process.env.DOTPOOL_LIBRARY
  if (wanted !== undefined && wanted !== '') {
    return [{ path: resolve(wanted), origin: 'DOTPOOL_LIBRARY', exists: existsSync(wanted) }]
  }
  const built = { path: builtPath, origin: 'native/build', exists: existsSync(builtPath) }
  return [built, ...packages.map(placeInPackage)]
}

function placeInPackage(name: string): Place {
  const path = `${name}/${file}`
  try {
    const found = createRequire(import.meta.url).resolve(path)
    return { path: found, origin: name, exists: true }
  } catch {
    return { path, origin: name, exists: false }
  }
}

/**
 * Finds the native library; null if there is none.
 *
 * @throws ArgumentError if DOTPOOL_LIBRARY names a file that does not exist
 */
export function findLibrary(): Library | null {
  const places = libraryPlaces()
  const found = places.find(({ exists }) => exists)
  if (found !== undefined) return { path: found.path, origin: found.origin }
  if (places[0].origin !== 'DOTPOOL_LIBRARY') return null
  throw new ArgumentError('DOTPOOL_LIBRARY', 'a file', describe(process.env.DOTPOOL_LIBRARY))
}

/** Finds the best WebAssembly module that this Node.js can run; null if none was built. */
export function findWasm(): string | null {
  const modules = ['dotpool-relaxed.wasm', 'dotpool.wasm'].map((name) =>
    fileURLToPath(new URL(`../../../native/build/${name}`, import.meta.url)),
  )
  return modules.find((path) => existsSync(path) && wasm.validate(readFileSync(path))) ?? null
}

/** Says why {@link findLibrary} finds nothing, and what to do about it, in one line. */
export function whyNoLibrary(): string {
  return (
    `no native library: none was built, and none was installed with ${packages.join(' or ')}; ` +
    `install optional dependencies too or, with a C compiler and make, run: node ${buildScript}`
  )
}

import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError, describe } from '../errors.js'
import * as wasm from './web-assembly.js'

/** The native library's file. */
export interface Library {
  path: string
  /** Who chose it: `DOTPOOL_LIBRARY`, `native/build`, or the name of the package that brought it. */
  origin: string
}

const file = `libdotpool.${{ darwin: 'dylib', win32: 'dll' }[process.platform as string] ?? 'so'}`
const builtPath = fileURLToPath(new URL(`../../../native/build/${file}`, import.meta.url))
const buildScript = fileURLToPath(new URL('../../../native/build.js', import.meta.url))

/** Packages with prebuilt libraries. Of those for Linux npm installs the one for the machine's libc. */
const platform = `@dotpool/${process.platform}-${process.arch}`
const packages = process.platform === 'linux' ? [platform, `${platform}-musl`] : [platform]

/**
 * The native library that serves: the file that the environment variable DOTPOOL_LIBRARY names, else
 * what was built here, else what the platform's package brought. Null where there is none.
 *
 * @throws ArgumentError if DOTPOOL_LIBRARY names no file
 */
export function findLibrary(): Library | null {
  const wanted = process.env.DOTPOOL_LIBRARY
  if (wanted !== undefined && wanted !== '') {
    if (existsSync(wanted)) return { path: resolve(wanted), origin: 'DOTPOOL_LIBRARY' }
    throw new ArgumentError('DOTPOOL_LIBRARY', 'a file', describe(wanted))
  }
  if (existsSync(builtPath)) return { path: builtPath, origin: 'native/build' }
  return packages.map(findInPackage).find((library) => library !== null) ?? null
}

/** The WebAssembly module that this Node.js runs best, or null where none was built. */
export function findWasm(): string | null {
  const modules = ['dotpool-relaxed.wasm', 'dotpool.wasm'].map((name) =>
    fileURLToPath(new URL(`../../../native/build/${name}`, import.meta.url)),
  )
  return modules.find((path) => existsSync(path) && wasm.validate(readFileSync(path))) ?? null
}

function findInPackage(name: string): Library | null {
  try {
    return { path: createRequire(import.meta.url).resolve(`${name}/${file}`), origin: name }
  } catch {
    return null
  }
}

/** Why {@link findLibrary} finds nothing and what to do about it, in one line. */
export function whyNoLibrary(): string {
  return (
    `no native library: none is built, and none came with ${packages.join(' or ')}; ` +
    `install optional dependencies too or, with a C compiler and make, run: node ${buildScript}`
  )
}

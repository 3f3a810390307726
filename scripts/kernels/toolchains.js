import { execFileSync, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { arm64 } from './arm64.js'
import { compileWithV8 } from './v8.js'
import { x86 } from './x86.js'

/** @import { Architecture } from './count.js' */

/**
 * @typedef {object} Toolchain
 * @property {string} name
 * @property {string} cc for make
 * @property {string[]} needs commands
 * @property {string} objdump
 * @property {Architecture} architecture
 * @property {string[]} [settings] further ones for make
 * @property {(object: string) => Buffer[]} [compile] returns machine code made from the object file
 */

const native = fileURLToPath(new URL('../../native', import.meta.url))
/** All known toolchains, installed or not. @returns {Toolchain[]} */
export function listToolchains() {
  const clang = ask('$(WASM_CC)') || 'clang'
  const armGcc = ask('$(ARM_CC)')
  const armObjdump = armGcc.replace(/gcc$/, 'objdump')
  const host = { objdump: 'objdump', architecture: x86 }
  const arm = { objdump: armObjdump, architecture: arm64 }
  return [
    { name: 'gcc', cc: 'gcc', needs: ['gcc', 'objdump'], ...host },
    { name: 'clang', cc: clang, needs: [clang, 'objdump'], ...host },
    { name: 'gcc for Arm', cc: armGcc, needs: [armGcc, armObjdump], ...arm },
    {
      name: 'clang for Arm',
      cc: `${clang} --target=aarch64-linux-gnu`,
      needs: [clang, armGcc, armObjdump],
      ...arm,
    },
    {
      name: 'V8',
      cc: `${clang} --target=wasm32`,
      needs: [clang, 'objdump'],
      ...host,
      settings: ['MULTIPLY=wasmrelaxed'],
      compile: compileWithV8,
    },
  ]
}

/** What a toolchain needs and is not installed here, or undefined. */
export function missingFor(/** @type {Toolchain} */ { needs, architecture }) {
  if (process.platform !== 'linux') return 'Linux'
  if (architecture === x86 && process.arch !== 'x64') return 'an x86-64 machine'
  return needs.find((command) => !isThere(command))
}

export const isThere = (/** @type {string} */ command) =>
  spawnSync(command, ['--version']).status === 0

/** The compiler's version; V8 compiles clang's output. */
export function versionOf(/** @type {Toolchain} */ { cc, compile }) {
  const text = compile
    ? process.versions.v8
    : execFileSync(cc.split(' ')[0], ['--version'], { encoding: 'utf8' })
  return /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'without a version'
}

/** Builds the kernels as the Makefile does. Returns their object files by name. */
export function buildKernels(/** @type {Toolchain} */ { name, cc, settings = [] }) {
  const build = `build/report/${name.replaceAll(' ', '-')}`
  const options = [`CC=${cc}`, `BUILD=${build}`, ...settings]
  const objects = ask('$(OBJECTS)', ...options)
    .split(' ')
    .filter((object) => /\/src\/kernels\/[^/]*$/.test(object))
  make(`-j${availableParallelism()}`, ...options, ...objects)
  return objects.map((object) => ({ kernel: basename(object, '.o'), object: join(native, object) }))
}

/** Evaluates an expression with make. */
function ask(/** @type {string} */ expression, /** @type {string[]} */ ...options) {
  return make(...options, `--eval=ask: ; @echo ${expression}`, 'ask').trim()
}

function make(/** @type {string[]} */ ...args) {
  return execFileSync('make', ['--silent', '-C', native, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

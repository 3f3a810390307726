import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { codeInJitDump } from './jit-dump.js'

/** Compiles a module; V8 writes its machine code during the next turns of the event loop. Node.js 20 needs the flag. */
const COMPILE = `
  require('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd')
  new WebAssembly.Module(require('node:fs').readFileSync(process.argv[1]))
  let turns = 100
  const turn = () => turns-- > 0 && setImmediate(turn)
  turn()
`
const FLAGS = [
  '--perf-prof',
  '--no-liftoff',
  '--no-wasm-lazy-compilation',
  '--no-wasm-dynamic-tiering',
]

/** Compiles each function of a WebAssembly file with V8's optimising compiler. */
export function compileWithV8(/** @type {string} */ file) {
  const folder = mkdtempSync(join(tmpdir(), 'dotpool-v8-'))
  try {
    execFileSync(process.execPath, [...FLAGS, '--eval', COMPILE, resolve(file)], {
      cwd: folder,
      stdio: 'ignore',
    })
    const dump = readdirSync(folder).find((name) => /^jit-\d+\.dump$/.test(name)) ?? ''
    const functions = codeInJitDump(readFileSync(join(folder, dump)), /wasm-function/)
    if (functions.length === 0) throw new Error(`${file}: V8 wrote no machine code`)
    return functions
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

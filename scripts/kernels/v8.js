import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { codeInJitDump } from './jit-dump.js'

/** Compiles a module; in the next turns of the event loop V8 writes what it made of it. Node.js 20 takes the flag. */
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

/** What V8's optimising compiler makes of each function of a WebAssembly file. */
export function compileWithV8(/** @type {string} */ file) {
  const folder = mkdtempSync(join(tmpdir(), 'dotpool-v8-'))
  try {
    execFileSync(process.execPath, [...FLAGS, '--eval', COMPILE, resolve(file)], {
      cwd: folder,
      stdio: 'ignore',
    })
    const dump = readdirSync(folder).find((name) => /^jit-\d+\.dump$/.test(name)) ?? ''
    const functions = codeInJitDump(readFileSync(join(folder, dump)), /wasm-function/)
    if (functions.length === 0) throw new Error(`${file}: V8 tells nothing of its code`)
    return functions
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { codeInJitDump } from './jit-dump.js'

/** Compiles a module, and lives on until V8 has written what it made of it. Before Node.js 24 relaxed SIMD takes a flag. */
const COMPILE = `
  require('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd')
  new WebAssembly.Module(require('node:fs').readFileSync(process.argv[1]))
  setTimeout(() => {}, 200)
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
    return codeInJitDump(readFileSync(join(folder, dump)), /wasm-function/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// Builds the native library with make and a C compiler, and its WebAssembly where there is clang. Where they
// are missing the install goes on: what there is serves, the slower TypeScript fallback at last.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))

/** Makes a target; returns why it could not, or null. */
function make(...target) {
  const options = ['-C', folder, '--silent', `-j${availableParallelism()}`]
  const { error, status, stderr } = spawnSync('make', [...options, ...target], { encoding: 'utf8' })
  if (error?.code === 'ENOENT') return 'make was not found'
  return error === undefined && status === 0
    ? null
    : (error?.message ?? stderr).trim().split('\n')[0]
}

const why = make()
if (why !== null) console.warn(`dotpool: no native library (${why}); a slower fallback will serve`)
make('wasm')

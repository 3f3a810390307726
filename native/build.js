// Builds the native library with make and a C compiler. Where either is missing the install goes on:
// the TypeScript fallback serves, slower.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const make = spawnSync('make', ['-C', folder, '--silent', `-j${availableParallelism()}`], {
  encoding: 'utf8',
})

if (make.error !== undefined || make.status !== 0) {
  const missing = make.error?.code === 'ENOENT' && 'make was not found'
  const why = missing || (make.error?.message ?? make.stderr).trim().split('\n')[0]
  console.warn(`dotpool: no native library (${why}); the slower TypeScript fallback will serve`)
}

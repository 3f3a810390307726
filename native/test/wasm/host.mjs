// Runs the C tests where they are WebAssembly: node host.mjs FILE. DP_TEST_SEED repeats a run.
import { readFileSync } from 'node:fs'
import { WASI } from 'node:wasi'

const wasi = new WASI({ version: 'preview1', env: process.env })
const now = () => performance.timeOrigin + performance.now()
const module = new WebAssembly.Module(readFileSync(process.argv[2]))
const imports = { ...wasi.getImportObject(), env: { now } }
process.exitCode = wasi.start(new WebAssembly.Instance(module, imports))

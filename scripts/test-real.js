// Runs the tests on a real language model: node scripts/test-real.js [vitest's arguments]
// DOTPOOL_REAL_MODEL names its folder. Otherwise ../shared/real/smollm2.py makes one, once, which needs Python 3 with
// venv, and PyPI; without a model the tests are skipped and say so.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makePython, run } from './python.js'

const recipe = '../shared/real/smollm2.py'
const cache = 'node_modules/.cache/dotpool'
const made = join(cache, 'smollm2')

const model = process.env.DOTPOOL_REAL_MODEL ?? makeModel()
const env = model === undefined ? process.env : { ...process.env, DOTPOOL_REAL_MODEL: model }
// one file at a time: each uses all cores
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--no-file-parallelism']
const files = process.argv.length > 2 ? process.argv.slice(2) : ['test/real']
const { status } = spawnSync(process.execPath, [...vitest, ...files], { stdio: 'inherit', env })
process.exit(status ?? 1)

/** The model's folder; undefined where it cannot be made. */
function makeModel() {
  if (existsSync(made)) return made
  if (!existsSync(recipe)) return console.error(`no real model: there is no ${recipe}`)
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'making-'))
  try {
    const python = makePython(scratch)
    run(python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'numpy', 'gguf')
    run(python, recipe, join(scratch, 'smollm2'))
    renameSync(join(scratch, 'smollm2'), made)
    return made
  } catch (error) {
    console.error(`no real model: ${error.message}`)
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

// Writes what C and TypeScript share, as the compiler lays it out: node scripts/layouts.js [--check]
//   src/native/layout.ts   the numbers and the layouts of native/include/dotpool.h, for TypeScript
//   native/src/layouts.c   assertions that they hold, for every compiler that builds the library
// With --check it fails instead where those files are out of date. It takes a C compiler.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertions } from './layouts/assertions.js'
import { readHeader } from './layouts/header.js'
import { probe } from './layouts/probe.js'
import { typescript } from './layouts/typescript.js'

const path = (/** @type {string} */ name) => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** What a program prints that is compiled against the header. */
function run(/** @type {string} */ source) {
  const folder = mkdtempSync(join(tmpdir(), 'dotpool-layouts-'))
  try {
    const program = join(folder, 'probe')
    writeFileSync(`${program}.c`, source)
    execFileSync(compiler, [
      '-std=gnu11',
      '-I',
      path('native/include'),
      '-o',
      program,
      `${program}.c`,
    ])
    return execFileSync(program, { encoding: 'utf8' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const biome = fileURLToPath(import.meta.resolve('@biomejs/biome/bin/biome'))
const check = process.argv.includes('--check')
const compiler = process.env.CC || 'cc'
if (spawnSync(compiler, ['--version']).status !== 0) {
  console.log(`layouts: skipped, it takes a C compiler, and there is no ${compiler}`)
  process.exit(0)
}

const format = (/** @type {string} */ name, /** @type {string} */ input) =>
  execFileSync(process.execPath, [biome, 'format', `--stdin-file-path=${name}`], {
    encoding: 'utf8',
    input,
  })

const header = readHeader(readFileSync(path('native/include/dotpool.h'), 'utf8'))
const layout = JSON.parse(run(probe(header)))
const files = {
  'src/native/layout.ts': format('layout.ts', typescript(header, layout)),
  'native/src/layouts.c': assertions(header, layout),
}
for (const [name, text] of Object.entries(files)) {
  if (!check) {
    writeFileSync(path(name), text)
  } else if (readFileSync(path(name), 'utf8') !== text) {
    console.error(`${name} does not match native/include/dotpool.h: run npm run layouts`)
    process.exitCode = 1
  }
}

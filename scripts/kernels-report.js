// Counts the instructions that compilers generate for the kernels' inner loops, and writes them into native/ISAS.md,
// beside the tiles that native/src/isas.h lists: node scripts/kernels-report.js [--check]
// With --check it fails instead where a loop spills, where a kernel's name contradicts the list, or where the page is
// out of date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { countLoops } from './kernels/count.js'
import { disassemble } from './kernels/disassemble.js'
import { misnamed, readList, writeTiles } from './kernels/isas.js'
import { cellsOf, faults, mergeRows, readRows, spillsOf, writeRows } from './kernels/table.js'
import {
  buildKernels,
  isThere,
  listToolchains,
  missingFor,
  versionOf,
} from './kernels/toolchains.js'

const page = new URL('../native/ISAS.md', import.meta.url)
const kernels = new URL('../native/src/kernels/', import.meta.url)
const exists = (kernel) => existsSync(new URL(`${kernel}.c`, kernels))

function count(toolchain) {
  const missing = missingFor(toolchain)
  if (missing !== undefined) {
    console.log(`${toolchain.name}: skipped, it needs ${missing}`)
    return []
  }
  const { name: compiler, architecture } = toolchain
  const version = versionOf(toolchain)
  const rows = buildKernels(toolchain).flatMap(({ kernel, object }) => {
    const code = disassemble(toolchain, object)
    if (isNeverRun(kernel, code)) {
      console.log(`${kernel}: skipped, V8 uses it on CPUs with AVX-VNNI`)
      return []
    }
    const loops = code.flatMap((each) => countLoops(each, architecture))
    if (loops.length === 0) return []
    return [{ kernel, compiler, version, cells: cellsOf(loops), spills: spillsOf(loops) }]
  })
  console.log(`${compiler} ${version}: ${rows.length} kernels`)
  return rows
}

/** Whether this CPU lacks the instruction of the relaxed dot product, so that V8 never runs its kernel. */
const isNeverRun = (kernel, code) =>
  kernel.endsWith('_wasmrelaxed') && !code.flat().some(({ name }) => name === 'vpdpbusd')

if (!isThere('make')) {
  console.log('skipped: it needs make')
  process.exit(0)
}

const list = readList(readFileSync(new URL('../native/src/isas.h', import.meta.url), 'utf8'))
const text = readFileSync(page, 'utf8')
const tiled = writeTiles(text, list)
const recorded = readRows(text)
const counted = listToolchains().flatMap(count)
const check = process.argv.includes('--check')
if (!check) writeFileSync(page, writeRows(tiled, mergeRows(recorded, counted, exists)))
const found = [
  ...misnamed(
    readdirSync(kernels).filter((file) => file.endsWith('.c')),
    list,
  ),
  ...faults(check ? recorded : counted, counted, exists),
]
if (check && tiled !== text) found.push('the first table has other tiles than isas.h')
for (const fault of found) console.error(fault)
if (found.length > 0) {
  if (check) console.error('fix the kernels, then run npm run kernels:report')
  process.exitCode = 1
}

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  beginReport,
  formatReport,
  resultsName,
  summarizeRooflines,
} from '../../dist/bench/report.js'
import { impossibleSpeeds } from '../../dist/bench/speed.js'
import { printImpossible } from '../../dist/bench/table.js'
import { Pool } from '../../dist/src/index.js'
import { Rooflines } from '../../dist/src/measure/rooflines.js'
import { chooseNative } from '../../dist/src/native/load.js'
import { drawChart } from './chart.js'
import { isWrong } from './check.js'
import { watchEventLoop } from './event-loop.js'
import { findContenders } from './find-contenders.js'
import { measure } from './measure.js'
import { readOptions } from './options.js'
import { printBlocking, printResult } from './print.js'
import type { PeersReport } from './report.js'
import { formatTables } from './tables.js'

const options = readOptions()
await using pool = await Pool.create({ threads: options.threads })
const native = chooseNative()
if (native === null) throw new Error('the benchmark needs native kernels')
const rooflines = new Rooflines(pool, native)
const { contenders, absent } = await findContenders(pool, options.bits)
for (const { name, why } of absent) console.log(`${name} ${why}`)

const { suites: _, ...head } = beginReport(pool)
const report: PeersReport = {
  ...head,
  versions: Object.fromEntries([
    ['Node.js', head.versions.node],
    ...contenders.map(({ name, version }) => [name, version]),
  ]),
  absent,
  results: [],
  eventLoop: [],
}
for await (const results of measure(
  contenders,
  rooflines,
  options.bits,
  options.shapes,
  options.rowCounts,
)) {
  results.forEach(printResult)
  report.results.push(...results)
}
for await (const blocking of watchEventLoop(contenders, rooflines)) {
  printBlocking(blocking)
  report.eventLoop.push(blocking)
}
Object.assign(report, summarizeRooflines(rooflines, pool.isa))

// so that results of one kind do not replace those of another
const name = [...(options.bits === 4 ? ['four-bits'] : []), resultsName(report)].join('-')
await mkdir(options.out, { recursive: true })
await writeFile(join(options.out, `${name}.json`), formatReport(report))
await writeFile(join(options.out, `${name}.md`), formatTables(report, `${name}.svg`))
await writeFile(join(options.out, `${name}.svg`), drawChart(report))

const impossible = report.results.flatMap(({ name, shape: { k, n }, m, error, speed }) =>
  isWrong(error) ? [] : impossibleSpeeds(`${name}, K=${k} N=${n} M=${m}`, [speed]),
)
printImpossible(impossible)
if (impossible.length > 0) process.exitCode = 1

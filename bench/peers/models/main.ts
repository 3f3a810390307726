import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { formatReport, resultsName } from '../../../dist/bench/report.js'
import { impossibleSpeeds } from '../../../dist/bench/speed.js'
import { printImpossible } from '../../../dist/bench/table.js'
import { Pool } from '../../../dist/src/index.js'
import { describeMachine } from '../../../dist/src/measure/machine.js'
import { chooseNative } from '../../../dist/src/native/load.js'
import { findContenders } from './find-contenders.js'
import { readOptions } from './options.js'
import type { ModelsReport } from './report.js'
import { runModel } from './run.js'
import { contenderNames } from './runtimes.js'
import { ggufModel, syntheticModel } from './subject.js'
import { formatTables } from './tables.js'

const options = readOptions()
const { bits } = options
const { names, versions, absent } = await findContenders(contenderNames[bits])
for (const { name, why } of absent) console.log(`${name} ${why}`)
if (names[0] !== contenderNames[bits][0])
  throw new Error('without dotpool there is nothing to compare with')

const report: ModelsReport = {
  date: new Date().toISOString(),
  machine: describeMachine(),
  isa: '',
  compiler: null,
  versions: { 'Node.js': process.versions.node, ...versions },
  absent,
  runs: [],
}
const subjects = [
  ...options.shapes.map((shape) => syntheticModel(shape, bits)),
  ...(await Promise.all(options.ggufs.map(ggufModel))),
]
for (const subject of subjects) {
  for (const threads of options.threadCounts) {
    await using pool = await Pool.create({ threads })
    report.isa = pool.isa
    report.compiler = chooseNative()?.compiler() ?? null
    report.runs.push(await runModel(names, subject, pool, options.prompts))
  }
}

await mkdir(options.out, { recursive: true })
// so that results of one kind do not replace those of another
const models = options.ggufs.map((file) => basename(file, '.gguf'))
const kind = bits === 4 ? ['four-bits'] : models
const name = [...kind, resultsName(report)].join('-')
await writeFile(join(options.out, `${name}.json`), formatReport(report))
await writeFile(join(options.out, `${name}.md`), formatTables(report))

const impossible = report.runs.flatMap(({ threads, results }) =>
  results.flatMap(({ name, scenario, speed }) =>
    impossibleSpeeds(`${name}, ${scenario}, ${threads} threads`, speed && [speed]),
  ),
)
printImpossible(impossible)
if (impossible.length > 0) process.exitCode = 1

import { statSync } from 'node:fs'
import { access, constants, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ArgumentError, DotpoolError, Pool } from '../src/index.js'
import { Rooflines } from '../src/measure/rooflines.js'
import { nativeProblem } from '../src/native/load.js'
import { type Change, compareReports, readReport } from './compare.js'
import { dotpoolRunner } from './dotpool.js'
import { beginReport, formatReport, resultsName, summarizeRooflines } from './report.js'
import { type Impossible, impossibleSpeeds } from './speed.js'
import type { Line, Suite } from './suite.js'
import { awaited } from './suites/awaited.js'
import { calls } from './suites/calls.js'
import { eventLoop } from './suites/event-loop.js'
import { forward } from './suites/forward.js'
import { gemm } from './suites/gemm.js'
import { gemv } from './suites/gemv.js'
import { grammar } from './suites/grammar.js'
import { idle } from './suites/idle.js'
import { int4 } from './suites/int4.js'
import { isas } from './suites/isas.js'
import { memory } from './suites/memory.js'
import { outliers } from './suites/outliers.js'
import { oversubscribed } from './suites/oversubscribed.js'
import { region } from './suites/region.js'
import { scaling } from './suites/scaling.js'
import { smallBatches } from './suites/small-batches.js'
import { stalls } from './suites/stalls.js'
import {
  printComparison,
  printHead,
  printImpossible,
  printLine,
  printRooflines,
  printSuite,
} from './table.js'

const suites: Suite[] = [
  region,
  forward,
  awaited,
  calls,
  gemv,
  smallBatches,
  gemm,
  outliers,
  int4,
  oversubscribed,
  eventLoop,
  idle,
  memory,
]

/** Suites that run only where `--scope` names them. */
const extra: Suite[] = [scaling, isas, stalls, grammar]

export interface BenchOptions {
  /** Names of suites; all by default. */
  scope?: string[]
  threads: number
  /** Where to write every number: a file, or a folder, in which the file is named after the machine. */
  json?: string
  /** The file of an earlier run, to report changes since. */
  compare?: string
}

/** Problems of a run. */
export interface Complaints {
  /** Lines that got worse since the earlier run. */
  regressions: Change[]
  /** Lines that are faster than their roofline. */
  impossible: Impossible[]
}

/**
 * Runs suites, prints their lines as they come and writes the requested file.
 *
 * @returns what is wrong with the results
 * @throws ArgumentError for an unknown suite, FormatError for a malformed earlier report, DotpoolError
 *   where there are no native kernels
 */
export async function runBench(options: BenchOptions): Promise<Complaints> {
  const chosen = chooseSuites(options.scope)
  // now rather than after the minute that the suites take
  const toFolder = options.json !== undefined && isFolder(options.json)
  if (options.json !== undefined) {
    await access(toFolder ? options.json : dirname(options.json), constants.W_OK)
  }
  const before = options.compare === undefined ? undefined : await readReport(options.compare)
  await using pool = await Pool.create({ threads: options.threads })
  if (pool.native === null) {
    const why = nativeProblem() || 'DOTPOOL_ISA=typescript has none'
    throw new DotpoolError('ERR_DOTPOOL_NO_KERNELS', `the benchmark needs native kernels: ${why}`)
  }
  const context = {
    pool,
    native: pool.native,
    rooflines: new Rooflines(pool, pool.native),
    runners: [dotpoolRunner(pool)],
  }
  const report = beginReport(pool)
  printHead(report)
  for (const suite of chosen) {
    const lines: Line[] = []
    printSuite(suite)
    for await (const line of suite.run(context)) {
      printLine(line)
      lines.push(line)
    }
    report.suites.push({ name: suite.name, lines })
  }
  Object.assign(report, summarizeRooflines(context.rooflines, pool.isa))
  printRooflines(report)
  if (options.json !== undefined) {
    const file = toFolder ? join(options.json, `${resultsName(report)}.json`) : options.json
    await writeFile(file, formatReport(report))
    console.log(`\nevery number is in ${file}`)
  }
  const impossible = report.suites.flatMap((suite) =>
    suite.lines.flatMap(({ name, speeds }) => impossibleSpeeds(`${suite.name}: ${name}`, speeds)),
  )
  printImpossible(impossible)
  if (before === undefined) return { regressions: [], impossible }
  const comparison = compareReports(before, report)
  printComparison(before, report, comparison)
  return { regressions: comparison.regressions, impossible }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function chooseSuites(scope?: string[]): Suite[] {
  if (scope === undefined) return suites
  return scope.map((name) => {
    const suite = [...suites, ...extra].find((candidate) => candidate.name === name)
    if (suite === undefined) {
      const names = [...suites, ...extra].map((candidate) => candidate.name).join(', ')
      throw new ArgumentError('scope', `names out of ${names}`, JSON.stringify(name))
    }
    return suite
  })
}

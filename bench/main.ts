import { access, constants, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Rooflines } from '../src/cli/measure/rooflines.js'
import { ArgumentError, DotpoolError, Pool } from '../src/index.js'
import { nativeProblem } from '../src/native/load.js'
import { type Comparison, compareReports, readReport } from './compare.js'
import { dotpoolRunner } from './dotpool.js'
import { beginReport, formatReport, summarizeRooflines } from './report.js'
import type { Line, Suite } from './suite.js'
import { awaited } from './suites/awaited.js'
import { calls } from './suites/calls.js'
import { eventLoop } from './suites/event-loop.js'
import { forward } from './suites/forward.js'
import { gemm } from './suites/gemm.js'
import { gemv } from './suites/gemv.js'
import { idle } from './suites/idle.js'
import { isas } from './suites/isas.js'
import { memory } from './suites/memory.js'
import { oversubscribed } from './suites/oversubscribed.js'
import { region } from './suites/region.js'
import { scaling } from './suites/scaling.js'
import { smallBatches } from './suites/small-batches.js'
import { printComparison, printHead, printLine, printRooflines, printSuite } from './table.js'

const suites: Suite[] = [
  region,
  forward,
  awaited,
  calls,
  gemv,
  smallBatches,
  gemm,
  oversubscribed,
  eventLoop,
  idle,
  memory,
]

/** Run only where `--scope` names them. */
const extra: Suite[] = [scaling, isas]

export interface BenchOptions {
  /** Names of suites; all by default. */
  scope?: string[]
  threads: number
  /** Where to write every number. */
  json?: string
  /** A file that an earlier run wrote, to tell what has changed since. */
  compare?: string
}

/**
 * Runs suites, prints their lines as they come and writes the file that is asked for.
 *
 * @returns what has changed since the run that is to be compared with
 * @throws ArgumentError for an unknown suite, FormatError for an old report that is none, DotpoolError
 *   where there are no native kernels
 */
export async function runBench(options: BenchOptions): Promise<Comparison | undefined> {
  const chosen = chooseSuites(options.scope)
  // rather than after the minute that the suites take
  if (options.json !== undefined) await access(dirname(options.json), constants.W_OK)
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
  report.rooflines = summarizeRooflines(context.rooflines)
  printRooflines(report)
  if (options.json !== undefined) {
    await writeFile(options.json, formatReport(report))
  }
  if (before === undefined) return undefined
  const comparison = compareReports(before, report)
  printComparison(before, report, comparison)
  return comparison
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

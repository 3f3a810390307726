import { summarizeRooflines } from '../../../dist/bench/report.js'
import type { Pool } from '../../../dist/src/index.js'
import { Rooflines } from '../../../dist/src/measure/rooflines.js'
import { chooseNative } from '../../../dist/src/native/load.js'
import { checkAgreement } from './check.js'
import { loadAll } from './loading.js'
import { measure } from './measure.js'
import { printAgreement, printEventLoop, printHead, printLoading, printResult } from './print.js'
import { randomPrompts } from './prompts.js'
import type { Run } from './report.js'
import type { ContenderName } from './runtimes.js'
import { scenarios } from './scenarios.js'
import type { Subject } from './subject.js'

/**
 * Measures everything about one model.
 *
 * @param pool measures the bounds, with as many threads as the contenders have
 * @param prompts rounds of a scenario that prefills prompts
 * @throws Error where a contender runs another model than the first, or its process ends
 */
export async function runModel(
  names: readonly ContenderName[],
  subject: Subject,
  pool: Pool,
  prompts: number,
): Promise<Run> {
  const native = chooseNative()
  if (native === null) throw new Error('the benchmark needs native kernels')
  const { threads } = pool
  const rooflines = new Rooflines(pool, native)
  const { name, shape, files, prompts: checked } = subject
  printHead(name, threads)
  const { contenders, loading } = await loadAll(names, threads, await files())
  loading.forEach(printLoading)
  const agreement = await checkAgreement(contenders, checked)
  printAgreement(agreement)

  const run: Run = {
    shape: name,
    threads,
    rooflines: [],
    agreement,
    loading,
    results: [],
    eventLoop: [],
  }
  for (const scenario of scenarios) {
    const results = await measure(contenders, scenario, subject, rooflines, prompts)
    results.forEach(printResult)
    run.results.push(...results)
  }
  const [prompt] = randomPrompts(shape, 1, 512)
  for (const { name, commands } of contenders) {
    const line = { name, late: await commands.watchEventLoop(prompt) }
    printEventLoop(line)
    run.eventLoop.push(line)
  }
  for (const contender of contenders) await contender.stop()
  return { ...run, ...summarizeRooflines(rooflines, pool.isa) }
}

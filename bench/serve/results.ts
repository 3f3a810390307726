import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatReport, resultsName } from '../../dist/bench/report.js'
import type { Run, ServeReport } from './report.js'
import { formatTables } from './tables.js'

/** Adds runs to those of this machine, and writes its tables. */
export async function addRuns(
  folder: string,
  machine: Omit<ServeReport, 'runs'>,
  runs: readonly Run[],
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, resultsName(machine))
  const before: Run[] = existsSync(`${path}.json`)
    ? JSON.parse(readFileSync(`${path}.json`, 'utf8')).runs
    : []
  const kept = before.filter((run) => !runs.some((other) => keyOf(other) === keyOf(run)))
  const all = [...kept, ...runs].sort((a, b) => compareKeys(keyOf(a), keyOf(b)))
  const report: ServeReport = { ...machine, runs: all }
  await writeFile(`${path}.json`, formatReport(report))
  await writeFile(`${path}.md`, formatTables(report))
}

/** A closed loop by its streams, an open one by its rate. */
function keyOf({ model, streams, perSecond, prompt, tokens, results }: Run): string {
  return [model, streams ?? `open ${perSecond}`, prompt, tokens, results.length].join(' ')
}

function compareKeys(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

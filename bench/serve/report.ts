import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatReport, type Report, resultsName } from '../../dist/bench/report.js'
import type { Load } from './load.js'
import type { Result } from './measure.js'
import { formatTables } from './tables.js'

/** All results of a machine: the content of `results/*.json`. */
export interface ServeReport extends Pick<Report, 'machine' | 'isa' | 'compiler'> {
  /** By model and load; a new run of the same replaces the old. */
  runs: Run[]
}

/** A load on a model. */
export interface Run extends Omit<Load, 'seed' | 'vocabSize'> {
  /** ISO 8601, when it began. */
  date: string
  versions: Record<string, string>
  model: string
  threads: number
  rounds: number
  results: Result[]
}

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
  return [model, tokens, prompt, streams ?? `open ${perSecond}`, results.length].join(' ')
}

function compareKeys(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

import { type Summary, summarize } from '../../../dist/src/measure/samples.js'
import type { ModelFiles } from './contender.js'
import { ContenderProcess } from './process.js'
import type { ContenderName } from './runtimes.js'

/** How long a model takes to load. */
export interface Loading {
  name: string
  /** Reading its file from the system's memory, microseconds. */
  read: Summary
  /** Loading it until the first token is there, microseconds. */
  load: Summary
}

const LOADS = 5

/** Loads a model in all contenders by turns, in new processes; the last ones stay, with the model. */
export async function loadAll(
  names: readonly ContenderName[],
  threads: number,
  files: ModelFiles,
): Promise<{ contenders: ContenderProcess[]; loading: Loading[] }> {
  const reads = names.map((): number[] => [])
  const loads = names.map((): number[] => [])
  let contenders: ContenderProcess[] = []
  for (let i = 0; i < LOADS; i++) {
    for (const contender of contenders) await contender.stop()
    contenders = []
    for (const [j, name] of names.entries()) {
      const contender = await ContenderProcess.start(name, threads)
      contenders.push(contender)
      reads[j].push(await contender.commands.readWeights(files))
      loads[j].push(await contender.commands.load(files))
    }
  }
  const loading = names.map((name, j) => ({
    name,
    read: summarize(reads[j]),
    load: summarize(loads[j]),
  }))
  return { contenders, loading }
}

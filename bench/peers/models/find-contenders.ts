import type { Absence } from '../report.js'
import { ContenderProcess } from './process.js'
import type { ContenderName } from './runtimes.js'

/** Finds the contenders that run on this machine, and why others do not. */
export async function findContenders(wanted: readonly ContenderName[]): Promise<{
  names: ContenderName[]
  versions: Record<string, string>
  absent: Absence[]
}> {
  const names: ContenderName[] = []
  const versions: Record<string, string> = {}
  const absent: Absence[] = []
  for (const name of wanted) {
    try {
      const contender = await ContenderProcess.start(name, 1)
      names.push(name)
      versions[name] = contender.version
      await contender.stop()
    } catch (error) {
      absent.push({ name, why: `does not run here: ${String(error).split('\n', 1)[0]}` })
    }
  }
  return { names, versions, absent }
}

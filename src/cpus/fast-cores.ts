import { execFileSync } from 'node:child_process'
import { allowedCpus } from './affinity.js'
import { parseCpuList } from './cpu-list.js'
import { readText } from './read-text.js'

/** The fast cores of a machine that has slow ones too. */
export interface FastCores {
  /** The number of their CPUs. */
  count: number
  /** The numbers of these CPUs; null if the system only tells how many there are. */
  cpus: number[] | null
  /** The source that tells fast cores from slow ones. */
  source: string
}

/**
 * A core with at least this fraction of the fastest core's speed is fast. A worker claims at most half of an even
 * share of an op at once. On such a core its first claim ends by the time in which the fastest core runs a whole
 * share, so no worker waits for it. All workers can come to wait for a slower core.
 */
const FAST_FRACTION = 0.5

/**
 * Finds the fast cores among those that this process may use; null if all are alike as far as the system tells. Linux
 * tells the capacity of each CPU or, for Intel's hybrids, the kind of each core; macOS tells performance levels. Not
 * implemented for Windows.
 *
 * @param root the folder with Linux' `proc` and `sys`
 */
export function fastCores(root = ''): FastCores | null {
  if (process.platform === 'darwin') return byLevel()
  const allowed = allowedCpus(root)
  return allowed === null ? null : (byCapacity(root, allowed) ?? byKind(root, allowed))
}

/** Arm's big and little cores, and others: each CPU has a capacity of up to 1024. */
function byCapacity(root: string, allowed: readonly number[]): FastCores | null {
  const capacities = allowed.map((cpu) =>
    Number(readText(`${root}/sys/devices/system/cpu/cpu${cpu}/cpu_capacity`)),
  )
  const least = FAST_FRACTION * Math.max(...capacities)
  return describeSome(
    allowed.filter((_, i) => capacities[i] >= least),
    allowed,
    'cpu_capacity',
  )
}

/** Intel's hybrids: performance cores have performance counters of their own. */
function byKind(root: string, allowed: readonly number[]): FastCores | null {
  const fast = new Set(parseCpuList(readText(`${root}/sys/devices/cpu_core/cpus`) ?? ''))
  return describeSome(
    allowed.filter((cpu) => fast.has(cpu)),
    allowed,
    'cpu_core',
  )
}

/** Null if these are none or all of the allowed CPUs. */
function describeSome(
  cpus: number[],
  allowed: readonly number[],
  source: string,
): FastCores | null {
  const some = cpus.length > 0 && cpus.length < allowed.length
  return some ? { count: cpus.length, cpus, source } : null
}

/** Level 0 of Apple's cores is the fastest. */
function byLevel(): FastCores | null {
  try {
    const names = ['hw.nperflevels', 'hw.perflevel0.logicalcpu']
    const text = execFileSync('sysctl', ['-n', ...names], { encoding: 'utf8', stdio: 'pipe' })
    const [levels, count] = text.trim().split('\n').map(Number)
    return levels > 1 && count > 0 ? { count, cpus: null, source: 'hw.perflevel0' } : null
  } catch {
    return null
  }
}

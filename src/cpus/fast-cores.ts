import { execFileSync } from 'node:child_process'
import { allowedCpus } from './affinity.js'
import { parseCpuList } from './cpu-list.js'
import { readText } from './read-text.js'

/** The fast cores of a machine that has slow ones, too. */
export interface FastCores {
  /** CPUs on them. */
  count: number
  /** Their numbers; null where the system tells only how many there are. */
  cpus: number[] | null
  /** What tells them apart. */
  source: string
}

/**
 * A core of at least this part of the fastest one's speed is fast. A worker claims at most half of its
 * even share of an op at once: on such a core its first claim is done by when the fastest core would have
 * done a whole share, so that nobody waits for it. A slower one can be what all others wait for.
 */
const FAST = 0.5

/**
 * The fast cores among those that this process may use; null where all are alike, as far as the system
 * tells: Linux by the capacity of each CPU or, of Intel's hybrids, by their kind, macOS by performance
 * level. Windows is not asked.
 *
 * @param root the folder with Linux' `proc` and `sys`
 */
export function fastCores(root = ''): FastCores | null {
  if (process.platform === 'darwin') return byLevel()
  const allowed = allowedCpus(root)
  return allowed === null ? null : (byCapacity(root, allowed) ?? byKind(root, allowed))
}

/** Arm's big and little cores, and others: each CPU has a capacity, of 1024. */
function byCapacity(root: string, allowed: readonly number[]): FastCores | null {
  const capacities = allowed.map((cpu) =>
    Number(readText(`${root}/sys/devices/system/cpu/cpu${cpu}/cpu_capacity`)),
  )
  const least = FAST * Math.max(...capacities)
  return describeSome(
    allowed.filter((_, i) => capacities[i] >= least),
    allowed,
    'cpu_capacity',
  )
}

/** Intel's performance cores have performance counters of their own. */
function byKind(root: string, allowed: readonly number[]): FastCores | null {
  const fast = new Set(parseCpuList(readText(`${root}/sys/devices/cpu_core/cpus`) ?? ''))
  return describeSome(
    allowed.filter((cpu) => fast.has(cpu)),
    allowed,
    'cpu_core',
  )
}

/** Null where these are none or all. */
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

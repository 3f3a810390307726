import { availableParallelism } from 'node:os'
import { ArgumentError, describe } from '../errors.js'
import { allowedCpus } from './affinity.js'
import { cgroupQuota } from './cgroup-quota.js'
import { formatCpuList } from './cpu-list.js'
import { fastCores } from './fast-cores.js'

/** The CPUs that worker threads may run on: those of the fast cores, or those with these numbers. */
export type Cores = 'fast' | readonly number[]

/**
 * The numbers of these CPUs; null if `cores` is undefined, or if `'fast'` finds all cores alike.
 *
 * @param root the folder with Linux' `proc` and `sys`
 * @throws ArgumentError for CPUs that this process may not use, or for numbers on a system that has none
 */
export function chooseCpus(cores: Cores | undefined, root = ''): number[] | null {
  if (cores === undefined) return null
  if (cores === 'fast') return fastCores(root)?.cpus ?? null
  if (!Array.isArray(cores) || cores.length === 0) {
    throw new ArgumentError('cores', "'fast' or an array of CPU numbers", describe(cores))
  }
  const allowed = allowedCpus(root)
  const got = `[${[...cores].map(describe).join(', ')}]`
  if (allowed === null) {
    throw new ArgumentError('cores', "'fast' on a system that does not number its CPUs", got)
  }
  if (cores.some((cpu, i) => !allowed.includes(cpu) || cores.indexOf(cpu) !== i)) {
    const mask = formatCpuList(allowed)
    throw new ArgumentError(
      'cores',
      `CPUs of this process's affinity mask, ${mask}, each once`,
      got,
    )
  }
  return [...cores]
}

/**
 * How many threads a pool has by default: one for each CPU that it may use or, on a machine with fast and slow cores,
 * one for each CPU of a fast core. At least 1.
 *
 * @param cpus those that {@link chooseCpus} chose
 */
export function usableThreads(cpus: readonly number[] | null = null): number {
  return withinQuota(cpus?.length ?? fastCores()?.count ?? availableParallelism())
}

/** How many threads this process can keep running, on cores of any speed. At least 1. */
export function usableCpus(): number {
  return withinQuota(availableParallelism())
}

/** Limits a number of CPUs to the time that the control groups' quota allows. */
function withinQuota(cpus: number): number {
  return Math.max(1, Math.min(cpus, Math.floor(cgroupQuota())))
}

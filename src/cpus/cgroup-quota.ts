import { readText } from './read-text.js'

/** CPU time per wall time that the process's control groups allow; Infinity if none limits it. */
export function cgroupQuota(root = '/sys/fs/cgroup', membership = '/proc/self/cgroup'): number {
  let quota = Number.POSITIVE_INFINITY
  for (const line of (readText(membership) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (path === undefined) continue
    if (controllers === '') {
      // version 2: a limit may stand at any level above the process
      for (const folder of ancestors(path)) {
        quota = Math.min(quota, parseQuota(readText(`${root}${folder}/cpu.max`)))
      }
    } else if (controllers?.split(',').includes('cpu')) {
      // version 1; a container sees its own group as the root, whatever the path says
      for (const folder of ancestors(path)) {
        const limit = readText(`${root}/cpu${folder}/cpu.cfs_quota_us`)
        const period = readText(`${root}/cpu${folder}/cpu.cfs_period_us`)
        quota = Math.min(quota, parseQuota(`${limit?.trim()} ${period?.trim()}`))
      }
    }
  }
  return quota
}

/** `"150000 100000"` is 1.5 CPUs; `"max 100000"`, -1 and anything unreadable are no limit. */
function parseQuota(text: string | undefined): number {
  const [limit, period] = (text ?? '').trim().split(/\s+/).map(Number)
  return limit > 0 && period > 0 ? limit / period : Number.POSITIVE_INFINITY
}

/** `/a/b` gives `/a/b`, `/a` and the root, which is the empty string. */
function ancestors(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '')
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`).concat('')
}

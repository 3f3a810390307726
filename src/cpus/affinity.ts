import { parseCpuList } from './cpu-list.js'
import { readText } from './read-text.js'

/**
 * The CPUs that this process may use, by its affinity mask; null where the system does not name them,
 * which is anywhere but on Linux.
 *
 * @param root the folder with Linux' `proc` and `sys`
 */
export function allowedCpus(root = ''): number[] | null {
  const status = readText(`${root}/proc/self/status`) ?? ''
  const mask = /^Cpus_allowed_list:(.*)$/m.exec(status)?.[1]
  if (mask === undefined) return null
  // the mask may have CPUs that could be plugged in
  const online = readText(`${root}/sys/devices/system/cpu/online`) ?? mask
  const present = new Set(parseCpuList(online))
  return parseCpuList(mask).filter((cpu) => present.has(cpu))
}

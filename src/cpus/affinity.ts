import { parseCpuList } from './cpu-list.js'
import { readText } from './read-text.js'

/**
 * The CPUs of this process's affinity mask; null on systems other than Linux, which do not number them.
 *
 * @param root the folder with Linux' `proc` and `sys`
 */
export function allowedCpus(root = ''): number[] | null {
  const status = readText(`${root}/proc/self/status`) ?? ''
  const mask = /^Cpus_allowed_list:(.*)$/m.exec(status)?.[1]
  if (mask === undefined) return null
  // the mask can contain CPUs that are not online
  const online = readText(`${root}/sys/devices/system/cpu/online`) ?? mask
  const present = new Set(parseCpuList(online))
  return parseCpuList(mask).filter((cpu) => present.has(cpu))
}

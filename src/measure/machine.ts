import { readdirSync } from 'node:fs'
import os from 'node:os'
import { readText } from '../cpus/read-text.js'

/** What the system reports about this machine. */
export interface Machine {
  cpu: string
  /** CPU features that matter to int8 kernels, by their names in /proc/cpuinfo. */
  features: string[]
  /** CPUs that are online. */
  cpus: number
  /** Of one core, bytes; null where the system does not tell. */
  l2Bytes: number | null
  /** Of one group of cores, bytes; null where the system does not tell. */
  l3Bytes: number | null
  memoryBytes: number
  system: string
}

const FEATURES =
  /^(avx2|avx_vnni|avx512(f|bw|vl|_vnni|_bf16|_fp16)|amx_(tile|int8|bf16)|asimddp|i8mm|sve2?)$/

export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    features: cpuFeatures(),
    cpus: os.cpus().length,
    l2Bytes: cacheBytes(2),
    l3Bytes: cacheBytes(3),
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
  }
}

function cpuFeatures(): string[] {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readText('/proc/cpuinfo') ?? '')?.[1] ?? ''
  return flags.split(' ').filter((flag) => FEATURES.test(flag))
}

function cacheBytes(level: number): number | null {
  const folder = '/sys/devices/system/cpu/cpu0/cache'
  for (const index of list(folder)) {
    if (readText(`${folder}/${index}/level`)?.trim() !== String(level)) continue
    const kibibytes = Number.parseInt(readText(`${folder}/${index}/size`) ?? '', 10)
    if (kibibytes > 0) return kibibytes * 1024
  }
  return null
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

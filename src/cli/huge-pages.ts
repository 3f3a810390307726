import { readFileSync } from 'node:fs'

const SETTING = '/sys/kernel/mm/transparent_hugepage/enabled'

/** The system's setting for huge pages: `always`, `madvise`, `never`, or null where unknown. */
export function hugePageSetting(): string | null {
  try {
    return /\[(\w+)\]/.exec(readFileSync(SETTING, 'utf8'))?.[1] ?? null
  } catch {
    return null
  }
}

/** How many bytes of [address, address + byteLength) are in huge pages; null where unknown. */
export function hugePageBytes(address: number, byteLength: number): number | null {
  let huge = 0
  let inside = false
  try {
    for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
      const mapping = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
      if (mapping !== null) {
        const [first, last] = mapping.slice(1).map((word) => Number.parseInt(word, 16))
        inside = first < address + byteLength && last > address
      } else if (inside && line.startsWith('AnonHugePages:')) {
        huge += Number.parseInt(line.slice('AnonHugePages:'.length), 10) * 1024
      }
    }
  } catch {
    return null
  }
  // a mapping may include neighbouring memory
  return Math.min(huge, byteLength)
}

import { readdirSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect } from 'vitest'

/** Asserts at the end of its scope that no file of a test is open that was not at the beginning. */
export function expectNothingOpen(): Disposable {
  const before = openFiles()
  return { [Symbol.dispose]: () => expect(openFiles()).toEqual(before) }
}

/** The files in temporary folders that this process has open; threads open and close others meanwhile. */
function openFiles(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`)
      return file.startsWith(tmpdir()) ? [file] : []
    } catch {
      return [] // what it was listed by is closed
    }
  })
}

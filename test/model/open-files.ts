import { readdirSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect } from 'vitest'

/** Asserts at the end of its scope that a test leaves no file open; those of tests before it may be closed meanwhile. */
export function expectNothingOpen(): Disposable {
  const before = openFiles()
  return {
    [Symbol.dispose]: () =>
      expect(openFiles().filter((file) => !before.includes(file))).toEqual([]),
  }
}

/**
 * Lists the files in temporary folders that this process has open; threads open and close others meanwhile, and this
 * project's own, which may lie in such a folder, too.
 */
function openFiles(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`)
      return file.startsWith(tmpdir()) && !file.startsWith(process.cwd()) ? [file] : []
    } catch {
      return [] // the descriptor that listed it is closed
    }
  })
}

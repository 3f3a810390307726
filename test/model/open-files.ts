import { readdirSync } from 'node:fs'
import { expect } from 'vitest'

/** Asserts at the end of its scope that no more files are open than at the beginning. */
export function expectNothingOpen(): Disposable {
  const openFiles = () =>
    process.platform === 'linux' ? readdirSync('/proc/self/fd').length : undefined
  const before = openFiles()
  return { [Symbol.dispose]: () => expect(openFiles()).toBe(before) }
}

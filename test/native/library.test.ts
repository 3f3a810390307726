import { relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nativeLibrary } from '#src/native/load.js'
import { runScript } from '../support/child.js'

const path = nativeLibrary()?.path ?? ''

/** Creates a pool in a process with this DOTPOOL_LIBRARY; prints the library, or the error. */
const create = (library: string) =>
  runScript(
    `import { Pool } from 'dotpool'
     import { nativeLibrary } from '#src/native/load.js'
     const found = await Pool.create({ threads: 1 }).then(nativeLibrary, String)
     console.log(JSON.stringify(found))`,
    { env: { DOTPOOL_LIBRARY: library, DOTPOOL_ISA: '' } },
  )

describe('DOTPOOL_LIBRARY', () => {
  it.skipIf(path === '')('chooses the native library', async () => {
    for (const library of [path, relative('.', path)]) {
      const { stdout, stderr } = await create(library)
      expect(stderr).toBe('')
      expect(JSON.parse(stdout)).toEqual({ path, origin: 'DOTPOOL_LIBRARY' })
    }
  })

  it('is as good as unset where it is empty', async () => {
    const { stdout } = await create('')
    expect(JSON.parse(stdout)?.origin).not.toBe('DOTPOOL_LIBRARY')
  })

  it.each([
    ['is not there', '/nowhere/libdotpool.so', 'a file, got "/nowhere/libdotpool.so"'],
    ['is not a library', 'package.json', "dotpool's library for this machine, got .*"],
  ])('that %s is an error', async (_, library, complaint) => {
    const { stdout } = await create(library)
    expect(JSON.parse(stdout)).toMatch(
      new RegExp(`^ArgumentError: DOTPOOL_LIBRARY: expected ${complaint}$`),
    )
  })
})

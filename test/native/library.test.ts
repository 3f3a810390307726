import { relative } from 'node:path'
import { ArgumentError, Linear, Pool } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { nativeLibrary } from '#src/native/load.js'
import { runScript } from '../support/child.js'
import { errorOf } from '../support/threads.js'

const path = nativeLibrary()?.path ?? ''

/** Creates a pool in a child process with this DOTPOOL_LIBRARY; prints the library, or the error. */
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

  it('counts as unset when it is empty', async () => {
    const { stdout } = await create('')
    expect(JSON.parse(stdout)?.origin).not.toBe('DOTPOOL_LIBRARY')
  })

  it.each([
    ['does not exist', '/nowhere/libdotpool.so', 'a file, got "/nowhere/libdotpool.so"'],
    ['is not a regular file', 'src', 'a regular file, got ".*src"'],
    ['is not a library', 'package.json', "dotpool's library for this machine, got .*"],
  ])('rejects a library that %s', async (_, library, complaint) => {
    const { stdout } = await create(library)
    expect(JSON.parse(stdout)).toMatch(
      new RegExp(`^ArgumentError: DOTPOOL_LIBRARY: expected ${complaint}$`),
    )
  })
})

describe('the options of Pool.create for bundles', () => {
  const workerUrl = new URL('../../dist/src/pool/worker.js', import.meta.url)

  it.skipIf(path === '')('choose the library and the file that workers run', async () => {
    await using pool = await Pool.create({ threads: 1, nativeLibrary: path, workerUrl })
    const layer = await Linear.fromInt8(pool, new Int8Array(12).fill(2), 1, {
      inFeatures: 4,
      outFeatures: 3,
    })
    expect([...(await layer.forward(new Float32Array(4).fill(127)))]).toEqual([1016, 1016, 1016])
  })

  it.each([
    ['nativeLibrary', { nativeLibrary: '/nowhere.so' }, /^dotpool's library for this machine$/],
    ['nativeLibrary', { nativeLibrary: 'package.json' }, /^dotpool's library for this machine$/],
    ['nativeLibrary', { nativeLibrary: 7 as never }, /^a path$/],
    ['workerUrl', { workerUrl: './worker.js' }, /^the file: URL of an existing file$/],
    [
      'workerUrl',
      { workerUrl: 'file:///nowhere/worker.js' },
      /^the file: URL of an existing file$/,
    ],
    [
      'workerUrl',
      { workerUrl: 'https://example.org/worker.js' },
      /^the file: URL of an existing file$/,
    ],
  ])('are refused when invalid: %s %o', async (argument, options, expected) => {
    const error = await errorOf(Pool.create(options))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error).toMatchObject({ argument, expected: expect.stringMatching(expected) })
  })
})

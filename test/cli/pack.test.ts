import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder, writeCheckpoint, writeTokenizer } from '../model/support.js'
import { dotpool } from './run.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let floats: string

/** A checkpoint with float weights. */
beforeAll(async () => {
  folder = await temporaryFolder()
  floats = join(folder.path, 'floats')
  await mkdir(floats)
  await writeCheckpoint(floats)
  await writeTokenizer(floats)
})

afterAll(() => folder[Symbol.asyncDispose]())

test.concurrent('pack writes a file that every command takes, and prints its size', async () => {
  const target = join(folder.path, 'model.dotpool')
  const skips = ['--skip', 'down_proj']
  const { code, stdout, stderr } = await dotpool([
    ...['pack', floats, target, '--quantize', 'w8a8', ...skips],
  ])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/model\.dotpool: \d+ KiB, in \S+ m?s\n$/)
  const text = ['generate', 'ROMEO:', '--max-tokens', '8', '--temperature', '0', '--model']
  const [a, b] = [
    await dotpool([...text, floats, '--quantize', 'w8a8', ...skips]),
    await dotpool([...text, target, '--verify']),
  ]
  expect(b.code).toBe(0)
  expect(b.stdout).toBe(a.stdout)

  const other = await dotpool([...text, target, '--quantize', 'w4a8'])
  expect(other.code).toBe(1)
  expect(other.stderr).toContain("quantize: expected 'w8a8', as")

  const saved = join(folder.path, 'saved')
  const quantized = await dotpool(['quantize', target, saved])
  expect(quantized.stdout).toMatch(/: \d+ KiB before, \d+ KiB now/)
})

test.concurrent('pack replaces no file but packed models', async () => {
  // a folder of its own, for tests that run beside it write to theirs
  const place = join(folder.path, 'place')
  await mkdir(place)
  const target = join(place, 'text')
  await writeFile(target, 'precious')
  const { code, stderr } = await dotpool(['pack', floats, target])
  expect(code).toBe(1)
  expect(stderr).toContain('file: expected a new file, or a packed model to replace, got')
  expect(await readdir(place)).toEqual(['text'])
})

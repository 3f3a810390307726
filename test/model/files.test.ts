import { execFileSync } from 'node:child_process'
import { symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { readCompanions } from '#src/model/checkpoint/companions.js'
import { copyFile, FileLimit, openFile, readBytes } from '#src/model/json/files.js'
import { runScript } from '../support/child.js'
import { expectNothingOpen } from './open-files.js'
import { expectFormatError, fixture, temporaryFolder, writeCheckpoint } from './support.js'

const isPosix = process.platform !== 'win32'
const note = isPosix ? '' : ' (skipped: Windows has neither)'

/** Every file that a checkpoint may have. */
const names = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'model.safetensors',
]

describe.skipIf(!isPosix)(`a file that is not a regular file${note}`, () => {
  // in a process of its own, since a thread that waits for a FIFO can only be killed
  it('is refused by name, anywhere in a checkpoint, and nothing waits for it', async () => {
    await using folder = await temporaryFolder()
    const source = `
      import { execFileSync } from 'node:child_process'
      import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
      import { Checkpoint } from 'dotpool'
      const others = {
        FIFO: (path) => execFileSync('mkfifo', [path]),
        device: (path) => symlinkSync('/dev/zero', path),
        folder: (path) => mkdirSync(path),
      }
      for (const [kind, make] of Object.entries(others)) {
        for (const name of ${JSON.stringify(names)}) {
          const folder = ${JSON.stringify(folder.path)} + '/' + kind + name
          cpSync(${JSON.stringify(fixture)}, folder, { recursive: true })
          rmSync(folder + '/' + name, { force: true })
          make(folder + '/' + name)
          const error = await Checkpoint.open(folder).catch((error) => error)
          console.log(error.name, error.message.replace(folder + '/', ''))
        }
      }
    `
    const { code, stdout, stderr } = await runScript(source)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const expected = ['FIFO', 'device', 'folder'].flatMap((kind) =>
      names.map((name) => `FormatError ${name}: is a ${kind}, not a regular file`),
    )
    const lines = stdout.trim().split('\n')
    expect(lines.map((line) => line.split(':').slice(0, 2).join(':'))).toEqual(expected)
  })

  it('is refused as a shard, as a GGUF file, and as a file that a saved checkpoint copies', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    const fifo = join(folder.path, 'model-00001-of-00001.safetensors')
    execFileSync('mkfifo', [fifo])
    using _open = expectNothingOpen()
    await expectFormatError(Checkpoint.open(fifo), /is a FIFO/)
    await expectFormatError(Checkpoint.open('/dev/zero'), /\/dev\/zero: is a device/)
    const companions = await readCompanions(folder.path)
    await symlink('/dev/zero', join(folder.path, 'merges.txt'))
    await using target = await temporaryFolder()
    await expectFormatError(companions.writeTo(target.path), /merges\.txt: is a device/)
  })
})

describe('a file above its size limit', () => {
  it.each([
    ['config.json', FileLimit.config],
    ['generation_config.json', FileLimit.config],
    ['tokenizer.json', FileLimit.tokenizer],
    ['tokenizer_config.json', FileLimit.tokenizerConfig],
    ['chat_template.jinja', FileLimit.chatTemplate],
  ])('is refused before it is read: %s', async (name, limit) => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    const file = join(folder.path, name)
    await writeFile(file, '{}')
    await truncate(file, limit + 1) // sparse
    using _open = expectNothingOpen()
    const message = new RegExp(`${name}: has ${limit + 1} bytes, where at most ${limit} are`)
    await expectFormatError(Checkpoint.open(folder.path), message)
  })
})

it('reads and copies files of any length, empty ones included', async () => {
  await using folder = await temporaryFolder()
  const [file, copy] = ['file', 'copy'].map((name) => join(folder.path, name))
  for (const size of [0, 1, 300_000]) {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31)
    await writeFile(file, bytes)
    expect(Buffer.compare(await readBytes(file, size), bytes)).toBe(0)
    await copyFile(file, copy)
    expect(Buffer.compare(await readBytes(copy, size), bytes)).toBe(0)
  }
  const { handle, size } = await openFile(file)
  expect(size).toBe(300_000)
  await handle.close()
})

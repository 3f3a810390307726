import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const readme = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8')
const examples = [...readme.matchAll(/^```[tj]s\n(.*?)^```$/gms)].map(([, source]) => source)

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
})
afterAll(async () => await rm(folder, { recursive: true }))

describe("README's examples", () => {
  it('are found', () => {
    expect(examples.length).toBeGreaterThanOrEqual(2)
  })

  it.each(examples)('are plain JavaScript for this Node.js: %#', async (source) => {
    const file = join(folder, 'example.mjs')
    await writeFile(file, source)
    const { status, stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  it.each(examples)('import what there is, and end the pool they start: %#', async (source) => {
    const [, names] = /^import \{ (.*) \} from 'dotpool'$/m.exec(source) ?? []
    expect(Object.keys(await import('dotpool'))).toEqual(expect.arrayContaining(names.split(', ')))
    expect(source).toMatch(/^await pool\.close\(\)$/m)
  })
})

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { Model } from '#src/model/model.js'
import { collectGarbage } from '#src/native/collect-garbage.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../../support/isas.js'
import { expectSameBits } from '../../support/reference.js'
import { errorOf, until } from '../../support/threads.js'
import { expectNothingOpen } from '../open-files.js'
import { randomCheckpoint } from '../random-checkpoint.js'
import { collect, expectFormatError, fixture, logitsOf, temporaryFolder } from '../support.js'
import { mappingsOf, packMade } from './support.js'

needLibrary()

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let pool: Pool
let file: string
const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)
const isLinux = process.platform === 'linux'

beforeAll(async () => {
  folder = await temporaryFolder()
  pool = await Pool.create({ threads: 2 })
  file = join(folder.path, 'fixture.dotpool')
  using model = await Model.load(pool, fixture)
  await model.pack(file)
})
afterAll(async () => {
  await pool.close()
  await folder[Symbol.asyncDispose]()
})

/** Waits until the garbage collector has found that nobody can read a file any more. */
async function untilUnmapped(path: string): Promise<void> {
  for (let i = 0; i < 100 && mappingsOf(path) > 0; i++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(mappingsOf(path)).toBe(0)
}

describe.runIf(isLinux)('a mapped file', () => {
  it('is unmapped and closed once the model is disposed of, and not before', async () => {
    const load = async () => {
      using model = await Model.load(pool, file)
      collectGarbage()
      await new Promise(setImmediate)
      expect(mappingsOf(file)).toBe(1)
      await logitsOf(model, ids)
    }
    using _open = expectNothingOpen()
    await load()
    await until(() => mappingsOf(file) === 0)
  })

  it('stays mapped while an array of it is referenced', async () => {
    const keep = async () => {
      using model = await Model.load(pool, file)
      const linear = model.linears.get('lm_head')
      if (linear === undefined || !('tiles' in linear)) throw new Error('no int8 head')
      return linear.tiles
    }
    const kept: Int8Array[] = [await keep()]
    const before = kept[0].slice()
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(mappingsOf(file)).toBe(1)
    expect(kept[0].every((weight, i) => weight === before[i])).toBe(true)
    kept.length = 0
    await untilUnmapped(file)
  })

  it('is not read any more once it is unmapped, whatever ran when the model was disposed of', async () => {
    const run = async () => {
      const model = await Model.load(pool, file)
      const endless = { maxTokens: 500, ignoreEnd: true }
      const work = [0, 1, 2].map((i) => errorOf(collect(model.generateTokens([1, i], endless))))
      work.push(errorOf(model.logits(Array.from({ length: 500 }, (_, i) => i % 60))))
      await new Promise((resolve) => setTimeout(resolve, 20))
      model.dispose()
      await Promise.all(work)
    }
    for (let i = 0; i < 5; i++) await run()
    await untilUnmapped(file)
  })

  it('may be replaced: who has the old one keeps it', async () => {
    const [old, next] = [5, 6].map((seed) => randomCheckpoint('LlamaForCausalLM', {}, { seed }))
    const target = await packMade(pool, folder.path, old, { quantize: 'w8a8' })
    using before = await Model.load(pool, target)
    const logits = await logitsOf(before, ids)
    const other = await packMade(pool, folder.path, next, { quantize: 'w8a8' })
    expect(other).toBe(target)
    using after = await Model.load(pool, target)
    expectSameBits(
      await logitsOf(before, [...ids, 1]).then((all) => all.subarray(0, logits.length)),
      logits,
    )
    expect(await logitsOf(after, ids)).not.toEqual(logits)
  })
})

const hasFlock = isLinux && spawnSync('flock', ['--version']).status === 0

it.runIf(hasFlock)('is refused while another process has it locked to write to it', async () => {
  const script = ['-x', file, '-c', 'echo locked && cat']
  const child = spawn('flock', script, { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  await expectFormatError(Model.load(pool, file), /another process has locked it/)
  child.stdin.end()
  await once(child, 'exit')
  using _model = await Model.load(pool, file)
  expect(spawnSync('flock', ['-n', '-x', file, 'true']).status).toBe(1)
})

describe('packing', () => {
  it('leaves nothing behind when it is aborted', async () => {
    await using empty = await temporaryFolder()
    using model = await Model.load(pool, fixture)
    const target = join(empty.path, 'model.dotpool')
    for (const after of [1, 3]) {
      const controller = new AbortController()
      let calls = 0
      const onProgress = () => {
        if (++calls === after) controller.abort(new Error('enough'))
      }
      const packing = model.pack(target, { signal: controller.signal, onProgress })
      await expect(packing).rejects.toThrow('enough')
      expect(await readdir(empty.path)).toEqual([])
    }
  })

  it('replaces nothing but packed models, and writes files that nobody may write to', async () => {
    await using empty = await temporaryFolder()
    using model = await Model.load(pool, fixture)
    const text = join(empty.path, 'text')
    await writeFile(text, 'precious')
    for (const wrong of [text, empty.path, join(empty.path, 'no', 'such', 'folder')]) {
      await expect(model.pack(wrong)).rejects.toThrow(ArgumentError)
    }
    await expect(model.pack(7 as unknown as string)).rejects.toThrow(ArgumentError)
    expect(await readFile(text, 'utf8')).toBe('precious')
    const target = join(empty.path, 'model.dotpool')
    await model.pack(target)
    await model.pack(target)
    expect((await readdir(empty.path)).sort()).toEqual(['model.dotpool', 'text'])
    if (process.platform !== 'win32') expect((await stat(target)).mode & 0o222).toBe(0)
  })

  it('needs the config of the checkpoint as it was', async () => {
    await using source = await temporaryFolder()
    await mkdir(join(source.path, 'sub'))
    const made = randomCheckpoint('LlamaForCausalLM')
    await packMade(pool, source.path, made)
    using model = await Model.load(pool, source.path)
    const changed = JSON.stringify({ ...made.config, rms_norm_eps: 1 })
    await writeFile(join(source.path, 'config.json'), changed)
    await expect(model.pack(join(source.path, 'x'))).rejects.toThrow(/has changed since/)
    await rename(join(source.path, 'config.json'), join(source.path, 'sub', 'config.json'))
    await expect(model.pack(join(source.path, 'x'))).rejects.toThrow(/config\.json/)
  })
})

/** Loads the file, runs it, says so, and stays. */
const holder = `
  import { Model, Pool } from 'dotpool'
  const pool = await Pool.create({ threads: 1 })
  const model = await Model.load(pool, process.env.PACKED)
  await model.logits([1, 2, 3])
  console.log('ready')
  process.stdin.on('end', () => process.exit()).resume()
`

/** Kilobytes of the file that a process counts for its own: of memory that n share it has 1 / n. */
function memoryOf({ pid }: ChildProcess, field: 'Pss' | 'Rss'): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  const mine = mappings.find((mapping) => mapping.split('\n', 1)[0].endsWith(file)) ?? ''
  return Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(mine)?.[1])
}

it.runIf(isLinux)('is one copy in memory for all processes', async () => {
  const children = [0, 1, 2].map(() =>
    spawn(process.execPath, ['--input-type=module', '--eval', holder], {
      env: { ...process.env, PACKED: file },
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  )
  try {
    await Promise.all(children.map(({ stdout }) => once(stdout, 'data')))
    const total = children.reduce((sum, child) => sum + memoryOf(child, 'Pss'), 0)
    const resident = Math.max(...children.map((child) => memoryOf(child, 'Rss')))
    expect(resident * 1024).toBeGreaterThan(6e6)
    expect(total).toBeLessThanOrEqual(resident * 1.1)
  } finally {
    for (const child of children) child.stdin.end()
    await Promise.all(children.map((child) => once(child, 'exit')))
  }
})

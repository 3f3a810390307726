import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findLibrary, findWasm } from '#src/native/library.js'
import { chooseNative } from '#src/native/load.js'
import { fixture } from '../model/support.js'
import { scripted } from '../support/isas.js'

/* What newcomers copy: examples/ and the code in the pages, each run as a program of its own. */

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (name: string) => readFileSync(join(root, name), 'utf8')

/** The output of a program; fails unless it exits with 0. */
function run(cwd: string, args: string[], input = ''): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    input,
    encoding: 'utf8',
    timeout: 100_000,
  })
  expect(status, stderr).toBe(0)
  return { stdout, stderr }
}

const tested = new Set<string>()
function example(name: string, input?: string) {
  tested.add(name)
  return run(root, [`examples/${name}`], input)
}

describe('the example', () => {
  it('of a service answers requests, refuses bad ones with a status, and ends cleanly', async () => {
    tested.add('service.js')
    const env = { ...process.env, PORT: '0' }
    const child = spawn(process.execPath, ['examples/service.js'], { cwd: root, env })
    const ended = new Promise((resolve) => child.on('close', resolve))
    try {
      const [line] = (
        await createInterface(child.stdout)[Symbol.asyncIterator]().next()
      ).value.match(/http:.*/)
      const post = async (body: string) => await fetch(line, { method: 'POST', body })
      expect(await (await post('[1, 2, 3, 4]')).json()).toEqual([10, 2.5])
      expect((await post('[1, 2, 3]')).status).toBe(400)
      expect((await post('[1, 2,')).status).toBe(400)
    } finally {
      child.kill()
    }
    expect(await ended).toBe(0)
  })

  it('of a chat answers each line', () => {
    const { stdout } = example('chat.js', 'O Romeo, Romeo!\nAnd now?\n')
    expect(stdout).toMatch(/\n\n.*\n\n$/s)
  })

  it('of a batch prints a text for each prompt', () => {
    const { stdout, stderr } = example('batch.js')
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toHaveLength(6)
    for (const line of lines) {
      expect(line).toEqual({
        prompt: expect.stringMatching(/:\n$/),
        text: expect.stringMatching(/\w/),
      })
    }
    const [, ids, steps] = /^(\d+) tokens in (\d+) steps$/m.exec(stderr) ?? []
    expect(Number(steps)).toBeLessThan(Number(ids))
  })

  it('of embeddings prints lines, the nearest first', () => {
    const lines = example('embed.js').stdout.trim().split('\n')
    const cosines = lines.map((line) => Number(/^(-?[01]\.\d{3}) \w/.exec(line)?.[1]))
    expect(cosines).toHaveLength(3)
    expect(cosines).toEqual([...cosines].sort((a, b) => b - a))
  })

  it('of JSON prints a document that fits its schema', () => {
    expect(JSON.parse(example('json.js').stdout)).toEqual({
      speaker: expect.stringMatching(/^(ROMEO|JULIET|NURSE)$/),
      alive: expect.any(Boolean),
      act: expect.toSatisfy((act) => [1, 2, 3, 4, 5].includes(act)),
    })
  })

  it('of aborting ends three generations', () => {
    expect(example('abort.js').stdout).toBe(
      'break: 20 pieces\nabort: AbortError, kept 20 pieces\ntimeout: TimeoutError\n',
    )
  })

  it('of a worker thread prints the result', () => {
    expect(example('worker-thread.js').stdout).toBe('y = 128, -128, 256\n')
  })

  describe('of a bundle', () => {
    beforeAll(() => {
      tested.add('bundled.js')
      const comment = read('examples/bundled.js')
      const [, command] = /^\/\/ {3}(npx esbuild .*?)\n\/\/ {3}node/ms.exec(comment) ?? []
      const options = { cwd: root, shell: true, encoding: 'utf8' } as const
      const { status, stderr } = spawnSync(command.replaceAll('\\\n//', ''), options)
      expect(status, stderr).toBe(0)
    })

    it('runs with the library that it names', ({ skip }) => {
      skip(chooseNative() === null, 'no kernels serve')
      const kernels = findLibrary()?.path ?? findWasm()
      const { stdout } = run(root, ['dist/bundle/app.js', kernels as string])
      expect(stdout).toMatch(/^Linear\(in_features=64, .*\) on Pool\(.*\): 128\n$/)
    })

    it('is refused without one, because its threads would run the bundle again', () => {
      const env = { ...process.env, DOTPOOL_ISA: 'typescript' }
      const options = { cwd: root, env, encoding: 'utf8', timeout: 100_000 } as const
      const { status, stderr } = spawnSync(process.execPath, ['dist/bundle/app.js'], options)
      expect(stderr).toMatch(
        /ArgumentError: dotpool: expected files that worker threads can load.*got a bundle/,
      )
      expect(status).toBe(1)
    })
  })

  it('files are all listed and tested', () => {
    const files = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.js'))
    expect([...tested].sort()).toEqual(files.sort())
    for (const name of files) {
      expect(read('examples/README.md')).toContain(`[${name}](${name})`)
      expect(read(`examples/${name}`).split('\n').length).toBeLessThanOrEqual(51)
    }
  })
})

const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const pages = ['README.md', ...docs.map((name) => `docs/${name}`)]

describe('the code of README.md and docs/', () => {
  const blocks = pages.flatMap((page) => {
    const codes = [...read(page).matchAll(/^```(?:js|ts)\n(.*?)^```$/gms)]
    return codes.map(([, code], i) => [`${page}, block ${i + 1}`, code])
  })

  /** A project with dotpool installed, and the models that the pages load: one with a chat template. */
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
    await mkdir(join(folder, 'node_modules'))
    await symlink(root, join(folder, 'node_modules/dotpool'), 'junction')
    await mkdir(join(folder, 'node_modules/@dotpool'))
    for (const name of ['@dotpool/server', 'fastify', 'openai']) {
      const installed = join('node_modules', name)
      await symlink(join(root, installed), join(folder, installed), 'junction')
    }
    await cp(fixture, join(folder, 'Qwen3-0.6B'), { recursive: true })
    const template = '{% for message in messages %}{{ message.content }}\n{% endfor %}'
    await writeFile(join(folder, 'Qwen3-0.6B/chat_template.jinja'), template)
    await cp(fixture, join(folder, 'Qwen3-Embedding-0.6B'), { recursive: true })
  })
  afterAll(async () => await rm(folder, { recursive: true }))

  it('has no link to a file that is not there', () => {
    for (const page of pages) {
      for (const [, link] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
        const file = new URL(link, pathToFileURL(join(root, page)))
        expect(existsSync(file), `${link} in ${page}`).toBe(true)
      }
    }
  })

  it('is found', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(7)
  })

  // the pages' code is the same everywhere, but takes minutes where only TypeScript runs
  const some = scripted ? blocks.filter(([where]) => where.startsWith('README')) : blocks
  it.each(some)('runs as written: %s', async (_, code) => {
    await writeFile(join(folder, 'example.mjs'), code)
    expect(run(folder, ['example.mjs']).stderr).toBe('')
  })
})

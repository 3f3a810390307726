import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chooseNative } from '#src/native/load.js'
import { fixture, temporaryFolder } from '../model/support.js'
import { dotpool, main } from './run.js'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let input: string
let out: string
beforeEach(async () => {
  folder = await temporaryFolder()
  input = join(folder.path, 'input.jsonl')
  out = join(folder.path, 'output.jsonl')
})
afterEach(async () => await folder[Symbol.asyncDispose]())

const model = ['--model', `romeo=${fixture}`, '--threads', '1']

function request(i: number, body: object = {}): object {
  const fields = { model: 'romeo', prompt: `A ${i}`, max_tokens: 2, temperature: 0, ...body }
  return { custom_id: `${i}`, method: 'POST', url: '/v1/completions', body: fields }
}

async function writeInput(requests: readonly object[]): Promise<void> {
  await writeFile(input, requests.map((one) => `${JSON.stringify(one)}\n`).join(''))
}

async function readLines(path: string) {
  const text = await readFile(path, 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('batch', () => {
  it('writes answers in order and errors apart, sums up, and fails where some have', async () => {
    await writeInput([request(0), request(1, { n: 0 }), request(2)])
    const { code, stderr } = await dotpool(['batch', input, '--out', out, ...model])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^completed: 3 lines: 2 succeeded, 1 failed, .* lines\/s, see .*$/m)
    expect((await readLines(out)).map(({ custom_id }) => custom_id)).toEqual(['0', '2'])
    const [failed] = await readLines(join(folder.path, 'output.errors.jsonl'))
    expect(failed).toMatchObject({ custom_id: '1', response: { status_code: 400 } })
    expect(existsSync(`${out}.partial`)).toBe(false)
    const again = await dotpool(['batch', input, '--out', out, ...model])
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('--out: expected a file that is not there yet')
  })

  it('tells what is wrong with its input, by line', async () => {
    await writeInput([request(0), request(0), request(1, { model: 'juliet' })])
    const { code, stderr } = await dotpool(['batch', input, '--out', out, ...model])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^line 2: .*\(duplicate_custom_id\)\nline 3: .*\(model_not_found\)$/m)
    expect([existsSync(out), existsSync(`${out}.partial`)]).toEqual([false, false])
    const neither = await dotpool(['batch', input, '--out', out])
    expect(neither.stderr).toContain('--model: expected a model, or a server by --url')
  })

  it('stops at Ctrl-C, and the same command goes on', async () => {
    // some end early, while there is a lot left, also where kernels are TypeScript
    const requests = Array.from({ length: chooseNative() === null ? 20 : 200 }, (_, i) => {
      return request(i, { max_tokens: 1 + (i % 40), ignore_eos: true })
    })
    await writeInput(requests)
    const args = ['batch', input, '--out', out, ...model]
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const exited = once(child, 'close')
    await expect.poll(() => bytesOfResults(), { timeout: 100_000 }).toBeGreaterThan(0)
    child.kill('SIGINT')
    expect(await exited).toEqual([130, null])
    expect(stderr).toMatch(/^stopped: \d+ lines: .* left, .*; the same command goes on/m)
    expect(existsSync(out)).toBe(false)
    const { code } = await dotpool(args)
    expect(code).toBe(0)
    const results = await readLines(out)
    expect(results.map(({ custom_id }) => custom_id)).toEqual(requests.map((_, i) => `${i}`))
  })

  it('has a server run it, and goes on waiting for it', async () => {
    await writeInput([request(0), request(1)])
    const files = join(folder.path, 'files')
    const serving = ['serve', ...model, '--port', '0', '--api-key', 'key', '--files', files]
    const server = spawn(process.execPath, [main, ...serving], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let url = ''
    for await (const text of createInterface({ input: server.stdout })) {
      const { msg } = JSON.parse(text) as { msg: string }
      url = /http:\S+$/.exec(msg)?.[0] ?? url
      if (msg === 'ready') break
    }
    server.stdout.resume()
    const args = ['batch', input, '--out', out, '--url', `${url}/v1`]
    const refused = await dotpool(args)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('401')])
    const { code, stderr } = await dotpool([...args, '--api-key', 'key'])
    expect([code, stderr]).toEqual([0, expect.stringContaining('2 lines: 2 succeeded, 0 failed')])
    expect(await readLines(out)).toHaveLength(2)
    server.kill('SIGTERM')
    expect(await once(server, 'exit')).toEqual([0, null])
  })
})

/** Of the batch that runs. */
async function bytesOfResults(): Promise<number> {
  const batches = join(`${out}.partial`, 'batches')
  let bytes = 0
  for (const name of await readdir(batches, { recursive: true }).catch(() => [])) {
    if (name.includes('results')) bytes += (await stat(join(batches, name))).size
  }
  return bytes
}

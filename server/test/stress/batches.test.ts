import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { OpenAI, toFile } from 'openai'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FolderStore } from '#server/index.js'
import { fixture } from '../support.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
})
afterEach(async () => await rm(folder, { recursive: true }))

async function serve(): Promise<{ child: ChildProcess; client: OpenAI }> {
  const args = ['--model', `romeo=${fixture}`, '--port', '0', '--threads', '1', '--files', folder]
  const child = spawn(process.execPath, [main, 'serve', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let url = ''
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const { msg } = JSON.parse(line) as { msg: string }
    url = /http:\S+$/.exec(msg)?.[0] ?? url
    if (msg === 'ready') break
  }
  child.stdout?.resume()
  return { child, client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key' }) }
}

it('every line has exactly one result, however often the server is killed', async () => {
  const bodies = Array.from({ length: 300 }, (_, i) => {
    const body = { model: 'romeo', prompt: `A ${i}`, max_tokens: 20, seed: i, ignore_eos: true }
    return { custom_id: `${i}`, method: 'POST', url: '/v1/completions', body }
  })
  let { child, client } = await serve()
  const text = bodies.map((body) => JSON.stringify(body)).join('\n')
  const file = await toFile(Buffer.from(text), 'input.jsonl')
  const { id: input_file_id } = await client.files.create({ file, purpose: 'batch' })
  const request = { input_file_id, endpoint: '/v1/completions', completion_window: '24h' } as const
  const { id } = await client.batches.create(request)
  for (let kill = 0; kill < 4; kill++) {
    await setTimeout(150 * (kill + 1))
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    const next = await serve()
    child = next.child
    client = next.client
  }
  let batch = await client.batches.retrieve(id)
  while (batch.status === 'in_progress' || batch.status === 'finalizing') {
    await setTimeout(100)
    batch = await client.batches.retrieve(id)
  }
  expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 300 } })
  const output = await (await client.files.content(batch.output_file_id ?? '')).text()
  const results = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(results.map(({ custom_id }) => custom_id)).toEqual(bodies.map((one) => one.custom_id))
  // the bits of a line do not depend on what ran beside it, or before the server was killed
  for (const i of [0, 150, 299]) {
    const direct = await client.completions.create(bodies[i].body)
    expect(direct.choices).toEqual(results[i].response.body.choices)
  }
  child.kill('SIGKILL')
}, 300_000)

it('a folder is owned by one process at a time', async () => {
  await using _ = await FolderStore.open(folder)
  await expect(FolderStore.open(folder)).rejects.toThrow(
    'files: expected a folder that no other process uses',
  )
}, 60_000)

it('a file that is larger than may be is refused, and takes no memory and no disk', async () => {
  const { child, client } = await serve()
  const part = Buffer.alloc(1 << 20, 'a')
  const upload = async (megabytes: number) => {
    const form = new FormData()
    form.append('purpose', 'batch')
    form.append('file', new Blob(Array(megabytes).fill(part)), 'large.jsonl')
    const answer = await fetch(`${client.baseURL}/files`, { method: 'POST', body: form })
    return [answer.status, ((await answer.json()) as { bytes?: number }).bytes]
  }
  expect(await upload(200)).toEqual([200, 200 << 20])
  expect(await upload(201)).toEqual([413, undefined])
  const { data } = await client.files.list()
  expect(data.map(({ bytes }) => bytes)).toEqual([200 << 20])
  expect(await readdir(join(folder, 'drafts'))).toEqual([])
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}, 120_000)

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fixture, temporaryFolder } from '../model/support.js'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))

/** Starts a server, and waits until it is ready. */
async function serve(...args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const all = ['serve', '--model', `romeo=${fixture}`, '--port', '0', '--threads', '1', ...args]
  const child = spawn(process.execPath, [main, ...all], { stdio: ['ignore', 'pipe', 'inherit'] })
  let url = ''
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const { msg } = JSON.parse(line) as { msg: string }
    url = /http:\S+$/.exec(msg)?.[0] ?? url
    if (msg === 'ready') break
  }
  child.stdout?.resume()
  return { child, url }
}

async function complete(url: string, maxTokens: number, n: number): Promise<Response> {
  return await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer key' },
    body: JSON.stringify({ prompt: 'A', max_tokens: maxTokens, n, ignore_eos: true, stream: true }),
  })
}

test('serve answers, guards its routes by keys, and finishes answers after SIGTERM', async () => {
  await using folder = await temporaryFolder()
  const keys = join(folder.path, 'keys')
  await writeFile(keys, 'other\nkey\n')
  const { child, url } = await serve('--api-key-file', keys, '--drain', '300')
  expect(new URL(url).hostname).toBe('127.0.0.1')
  expect((await fetch(`${url}/readyz`)).status).toBe(200)
  expect((await fetch(`${url}/v1/models`)).status).toBe(401)
  const response = await complete(url, 200, 1)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  expect((await response.text()).endsWith('data: [DONE]\n\n')).toBe(true)
  expect(await exited).toEqual([0, null])
})

test('a second signal ends serve at once', async () => {
  const { child, url } = await serve('--api-key', 'key')
  const response = await complete(url, 1000, 8)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(503)
  child.kill('SIGTERM')
  expect((await exited)[0]).toBe(1)
  await expect(response.text()).rejects.toThrow()
})

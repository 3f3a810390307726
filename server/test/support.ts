import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type LoadOptions, Model, type Pool } from 'dotpool'
import OpenAI from 'openai'
import { createServer, type ServerOptions } from '#server/index.js'
import { shallowFixture } from '../../test/support/shallow-fixture.js'

export const fixture = fileURLToPath(
  new URL('../../fixtures/qwen3-shakespeare-w8a8', import.meta.url),
)

/** Writes conversations and calls as Qwen's template does, in short. */
const chatTemplate = `
{%- for tool in tools or [] %}{{ 'TOOL ' + tool.function.name + '\n' }}{% endfor %}
{%- for m in messages %}
{{- m.role | upper + ': ' + (m.content or '') + '\n' }}
{%- for call in m.tool_calls or [] %}
{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + '}\n</tool_call>\n' }}
{%- endfor %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- 'ASSISTANT:' + ('<think>\n' if enable_thinking else '') }}
{%- endif %}`

/** A small model of two layers with a chat template. */
export async function loadModel(
  pool: Pool,
  options: LoadOptions = {},
  template: string = chatTemplate,
): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
  try {
    await cp(shallowFixture(), folder, { recursive: true })
    const config = { chat_template: template }
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config))
    return await Model.load(pool, folder, options)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** A model that says what the test wants, a few characters at a time; the last of them once the gate opens. */
export function scripted(model: Model, text: string, gate?: Promise<void>): Model {
  const pieces = text.match(/.{1,3}/gsu) ?? []
  const usage = { promptTokens: 5, cachedTokens: 0, completionTokens: pieces.length }
  const timing = { queueMillis: 1, firstTokenMillis: 2, millis: 3 }
  const result = { text, tokens: [], finishReason: 'stop', usage, timing }
  const run = {
    async *chunks() {
      for (const [i, piece] of pieces.entries()) {
        if (i === pieces.length - 1) await gate
        yield { text: piece, tokens: [1] }
      }
    },
    result: Promise.resolve(result),
    return: async () => {},
  }
  const { pool, tokenizer, chatTemplate, maxContext, cacheBytes } = model
  const own = { pool, tokenizer, chatTemplate, maxContext, cacheBytes }
  const calls = { stats: () => model.stats(), generate: () => run, dispose: () => {} }
  return { ...own, ...calls } as unknown as Model
}

/** A promise, and what resolves it. */
export function openable(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly client: OpenAI
  close(): Promise<void>
}

/** A server on a port of its own, and OpenAI's client for it. */
export async function start(
  models: ServerOptions['models'],
  options: Omit<ServerOptions, 'models'> = {},
): Promise<TestServer> {
  const app = createServer({ models, ...options })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 })
  const close = async () => {
    await app.close()
  }
  return { url, client, close, [Symbol.asyncDispose]: close }
}

/** Posts any body. */
export async function post(
  url: string,
  body: unknown,
  signal: AbortSignal | null = null,
): Promise<Response> {
  return await fetch(url, {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

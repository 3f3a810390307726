import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Model, Pool, QueueFullError } from 'dotpool'
import { type OpenAI, toFile } from 'openai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FolderStore } from '#server/index.js'
import { Conformance } from './openapi.js'
import { loadModel, openable, post, scripted, start, type TestServer } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
})
afterAll(async () => await pool.close())

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
})
afterEach(async () => await rm(folder, { recursive: true }))

async function serve(served: Model = model, options = {}): Promise<TestServer> {
  return await start({ model: served }, { batches: await FolderStore.open(folder), ...options })
}

interface Line {
  custom_id: string
  method: string
  url: string
  body: object
}

const patient = { timeout: 60_000 }

const COMPLETIONS = '/v1/completions'

/** A request for a few tokens. */
function line(i: number, body: object = {}): Line {
  const fields = { model: 'model', prompt: `ROMEO ${i}`, max_tokens: 3, temperature: 0, ...body }
  return { custom_id: `request ${i}`, method: 'POST', url: COMPLETIONS, body: fields }
}

async function upload(client: OpenAI, lines: readonly (object | string)[]): Promise<string> {
  const texts = lines.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
  const file = await toFile(Buffer.from(texts.join('\n')), 'input.jsonl')
  return (await client.files.create({ file, purpose: 'batch' })).id
}

async function create(
  client: OpenAI,
  lines: readonly (object | string)[],
  endpoint: OpenAI.BatchCreateParams['endpoint'] = COMPLETIONS,
) {
  const input_file_id = await upload(client, lines)
  return await client.batches.create({ input_file_id, endpoint, completion_window: '24h' })
}

const ends = ['completed', 'failed', 'expired', 'cancelled']

async function ended(client: OpenAI, id: string) {
  for (;;) {
    const batch = await client.batches.retrieve(id)
    if (ends.includes(batch.status)) return batch
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

interface Result {
  custom_id: string
  response: { status_code: number; body: Record<string, unknown> } | null
  error: { code: string } | null
}

async function read(client: OpenAI, id: string | null | undefined): Promise<Result[]> {
  if (id == null) return []
  const text = await (await client.files.content(id)).text()
  return text
    .trimEnd()
    .split('\n')
    .map((one) => JSON.parse(one))
}

describe('a batch', () => {
  it('answers each line as HTTP does, in the order of its lines, for OpenAI’s client', async () => {
    await using server = await serve()
    const { client } = server
    const lines = Array.from({ length: 20 }, (_, i) => line(i, { logprobs: 1 }))
    const created = await create(client, lines)
    expect(created).toMatchObject({ object: 'batch', status: 'validating', output_file_id: null })
    const batch = await ended(client, created.id)
    expect(batch).toMatchObject({
      ...{ status: 'completed', error_file_id: null, errors: null },
      request_counts: { total: 20, completed: 20, failed: 0 },
    })
    const results = await read(client, batch.output_file_id)
    for (const [i, { custom_id, response, error }] of results.entries()) {
      expect([custom_id, response?.status_code, error]).toEqual([`request ${i}`, 200, null])
      const direct = await (await post(`${server.url}${COMPLETIONS}`, lines[i].body)).json()
      const { id: _, created: __, ...answer } = response?.body ?? {}
      expect(direct).toMatchObject({ ...answer, usage: { prompt_tokens: expect.any(Number) } })
    }
    expect(results).toHaveLength(20)
    const output = await client.files.retrieve(batch.output_file_id ?? '')
    expect(output).toMatchObject({ purpose: 'batch_output', filename: `${batch.id}_output.jsonl` })
  })

  it.each<[OpenAI.BatchCreateParams['endpoint'], object, string]>([
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'A' }] }, 'chat.completion'],
    ['/v1/responses', { input: 'A', max_output_tokens: 3 }, 'response'],
    ['/v1/embeddings', { input: ['A', 'B'] }, 'list'],
  ])('asks %s', async (url, body, object) => {
    await using server = await serve(scripted(model, 'a text'))
    const embed = async () => [new Float32Array([1, 2])]
    const lines = [{ custom_id: 'a', method: 'POST', url, body }]
    const served = url === '/v1/embeddings' ? { ...scripted(model, ''), embed } : undefined
    const used = served === undefined ? server : undefined
    if (used === undefined) await server.close()
    await using other = used ?? (await serve(served as unknown as Model))
    const batch = await ended(other.client, (await create(other.client, lines, url)).id)
    const [{ response }] = await read(other.client, batch.output_file_id)
    expect(response).toMatchObject({ status_code: 200, body: { object } })
  })

  it('tells by line what fails, with the error that HTTP has', async () => {
    await using server = await serve()
    const { client } = server
    const lines = [line(0), line(1, { top_p: 7 }), line(2), line(3, { prompt: 'A'.repeat(9000) })]
    const batch = await ended(client, (await create(client, lines)).id)
    expect(batch.status).toBe('completed')
    expect(batch.request_counts).toEqual({ total: 4, completed: 2, failed: 2 })
    const results = await read(client, batch.output_file_id)
    expect(results.map(({ custom_id }) => custom_id)).toEqual(['request 0', 'request 2'])
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    for (const success of [true, false]) {
      const series = `dotpool_batch_lines_total{model_name="model",success="${success}"}`
      expect(metrics).toContain(`${series} 2\n`)
    }
    expect(await read(client, batch.error_file_id)).toMatchObject([
      {
        custom_id: 'request 1',
        response: { status_code: 400, body: { error: { param: 'top_p' } } },
      },
      {
        custom_id: 'request 3',
        response: { status_code: 400, body: { error: { code: 'context_length_exceeded' } } },
      },
    ])
  })

  it('fails as a whole where its input is not in order, and names lines and fields', async () => {
    await using server = await serve()
    const { client } = server
    const { body: _, ...bodiless } = line(7)
    const wrong: [object | string, code: string, param: string | null][] = [
      ['{', 'invalid_json_line', null],
      ['[]', 'invalid_json_line', null],
      [bodiless, 'missing_required_parameter', 'body'],
      [{ ...line(8), custom_id: 9 }, 'invalid_type', 'custom_id'],
      [line(0), 'duplicate_custom_id', 'custom_id'],
      [{ ...line(9), method: 'GET' }, 'invalid_method', 'method'],
      [{ ...line(10), url: '/v1/files' }, 'invalid_url', 'url'],
      [{ ...line(11), url: '/v1/embeddings' }, 'mismatched_url', 'url'],
      [{ ...line(12), body: 'A' }, 'invalid_type', 'body'],
      [line(13, { stream: true }), 'invalid_value', 'body.stream'],
      [line(14, { model: 'other' }), 'model_not_found', 'body.model'],
      [{ ...line(15), priority: 1 }, 'unknown_parameter', 'priority'],
    ]
    const created = await create(client, [line(0), '', ...wrong.map(([one]) => one), line(1)])
    const batch = await ended(client, created.id)
    expect([batch.status, batch.output_file_id]).toEqual(['failed', null])
    // a line that is blank counts, and is no request
    const expected = wrong.map(([, code, param], i) => ({ code, param, line: i + 3 }))
    expect(batch.errors?.data).toMatchObject(expected)
    const empty = await ended(client, (await create(client, ['', ' '])).id)
    expect(empty.errors?.data).toMatchObject([{ code: 'empty_file', line: null }])
  })

  it('runs a line again that is told to come later', async () => {
    let calls = 0
    const loaded = scripted(model, 'a')
    const busy = {
      ...loaded,
      generate: () => {
        if (++calls === 1) throw new QueueFullError(1, 'requests')
        return (loaded as unknown as { generate(): unknown }).generate()
      },
    }
    await using server = await serve(busy as unknown as Model)
    const { client } = server
    const batch = await ended(client, (await create(client, [line(0)])).id)
    expect([batch.request_counts?.completed, calls]).toEqual([1, 2])
  })

  it('keeps the results that it has when it is cancelled, and ends what runs', async () => {
    const gate = openable()
    const lines = [line(0), ...Array.from({ length: 5 }, (_, i) => line(i + 1, { seed: 1 }))]
    const quick = scripted(model, 'quick')
    const slow = scripted(model, 'slow', gate.opened)
    const generate = (_: unknown, { sampling }: { sampling: { seed?: number } }) =>
      (sampling.seed === 1 ? slow : quick).generate('')
    await using server = await serve({ ...quick, generate } as unknown as Model)
    const { client } = server
    const { id } = await create(client, lines)
    await expect
      .poll(async () => (await client.batches.retrieve(id)).request_counts?.completed, patient)
      .toBe(1)
    expect((await client.batches.cancel(id)).status).toBe('cancelling')
    const batch = await ended(client, id)
    expect(batch).toMatchObject({ status: 'cancelled', request_counts: { completed: 1 } })
    expect(await read(client, batch.output_file_id)).toMatchObject([{ custom_id: 'request 0' }])
    const left = await read(client, batch.error_file_id)
    expect(left.map(({ error }) => error?.code)).toEqual(Array(5).fill('batch_cancelled'))
    await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 409 })
    gate.open()
  })

  it('expires when its time is up', async () => {
    const gate = openable()
    await using server = await serve(scripted(model, 'slow', gate.opened))
    const { client } = server
    const input_file_id = await upload(client, [line(0)])
    const window = { completion_window: '1s' as '24h' }
    const request = { input_file_id, endpoint: COMPLETIONS, ...window } as const
    const batch = await ended(client, (await client.batches.create(request)).id)
    expect(batch.status).toBe('expired')
    expect(await read(client, batch.error_file_id)).toMatchObject([
      { custom_id: 'request 0', response: null, error: { code: 'batch_expired' } },
    ])
    gate.open()
  })

  it('goes on with the next start of the server, and runs no line again that has a result', async () => {
    const lines = Array.from({ length: 30 }, (_, i) => line(i))
    const gate = openable()
    const asked: string[] = []
    const watched = (slow: boolean) => {
      const quick = scripted(model, 'a')
      const late = scripted(model, 'a', gate.opened)
      const generate = (tokens: number[]) => {
        asked.push(model.tokenizer.decode(tokens))
        return (slow && asked.length > 10 ? late : quick).generate('')
      }
      return { ...quick, generate } as unknown as Model
    }
    const first = await serve(watched(true), { drainSeconds: 0 })
    const { id } = await create(first.client, lines)
    await expect
      .poll(
        async () => (await first.client.batches.retrieve(id)).request_counts?.completed,
        patient,
      )
      .toBe(10)
    await first.close()
    const before = asked.splice(0).slice(0, 10)
    await using second = await serve(watched(false))
    const batch = await ended(second.client, id)
    expect(batch.request_counts).toEqual({ total: 30, completed: 30, failed: 0 })
    expect(asked.filter((text) => before.includes(text))).toEqual([])
    expect(asked).toHaveLength(20)
    const results = await read(second.client, batch.output_file_id)
    expect(results.map(({ custom_id }) => custom_id)).toEqual(lines.map((one) => one.custom_id))
    // nothing is left of it but what is told
    await expect.poll(() => readdir(join(folder, 'batches', id)), patient).toEqual(['batch.json'])
    gate.open()
  })

  it('waits while requests of others do', async () => {
    let waiting = 1
    const quick = scripted(model, 'a')
    let calls = 0
    const busy = {
      ...quick,
      stats: () => ({ ...model.stats(), waiting }),
      generate: () => {
        calls++
        return (quick as unknown as { generate(): unknown }).generate()
      },
    }
    await using server = await serve(busy as unknown as Model)
    const { client } = server
    const { id } = await create(client, [line(0)])
    await expect
      .poll(async () => (await client.batches.retrieve(id)).status, patient)
      .toBe('in_progress')
    expect((await post(`${server.url}${COMPLETIONS}`, line(1).body)).status).toBe(200)
    expect(calls).toBe(1)
    waiting = 0
    expect((await ended(client, id)).status).toBe('completed')
    expect(calls).toBe(2)
  })
})

describe('lines', () => {
  it('leave room to requests: few run beside one, and many where there is none', async () => {
    const gate = openable()
    let running = 0
    const slow = scripted(model, 'a', gate.opened)
    const generate = () => {
      running++
      return (slow as unknown as { generate(): unknown }).generate()
    }
    await using server = await serve({ ...slow, generate } as unknown as Model)
    const { client } = server
    const leaving = new AbortController()
    const request = post(`${server.url}${COMPLETIONS}`, line(0).body, leaving.signal)
    request.catch(() => {})
    await expect.poll(() => running, patient).toBe(1)
    const lines = Array.from({ length: 70 }, (_, i) => line(i))
    await create(client, lines)
    await expect.poll(() => running, patient).toBe(9)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(running).toBe(9)
    leaving.abort()
    await expect.poll(() => running, patient).toBe(65)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(running).toBe(65)
    gate.open()
  })
})

describe('batches', () => {
  it('and files answer as the document of the routes says', async () => {
    await using server = await serve(scripted(model, 'a'))
    const conformance = await Conformance.of(server.url)
    const client = server.client.withOptions({ fetch: conformance.fetch })
    const { id } = await create(client, [line(0), line(1, { n: 9 })])
    const batch = await ended(client, id)
    await client.batches.list()
    const other = await create(client, [line(0)])
    await client.batches.cancel(other.id)
    await ended(client, other.id)
    await client.files.list()
    await client.files.retrieve(batch.error_file_id ?? '')
    await client.files.content(batch.output_file_id ?? '')
    await client.files.delete(batch.input_file_id)
    const answers = conformance.answers.filter((answer) => / \/v1\/(files|batches)/.test(answer))
    expect([...conformance.checked]).toEqual(expect.arrayContaining(answers))
  })

  it('are listed page by page, the newest first', async () => {
    await using server = await serve()
    const { client } = server
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.unshift((await create(client, [line(i)])).id)
    const first = await client.batches.list({ limit: 2 })
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    expect(first.has_more).toBe(true)
    const all: string[] = []
    for await (const { id } of client.batches.list({ limit: 2 })) all.push(id)
    expect(all).toEqual(ids)
    await expect(client.batches.list({ after: 'batch_0' })).rejects.toMatchObject({ status: 400 })
    await expect(client.batches.retrieve('batch_0')).rejects.toMatchObject({ status: 404 })
  })

  it('take no file that is not there, and no other endpoint', async () => {
    await using server = await serve()
    const request = { input_file_id: 'file-0', endpoint: COMPLETIONS, completion_window: '24h' }
    const absent = await post(`${server.url}/v1/batches`, request)
    expect([absent.status, await absent.json()]).toMatchObject([
      404,
      { error: { param: 'input_file_id', code: 'file_not_found' } },
    ])
    for (const change of [{ endpoint: '/v1/files' }, { completion_window: 'soon' }, { n: 1 }]) {
      const refused = await post(`${server.url}/v1/batches`, { ...request, ...change })
      const [param] = Object.keys(change)
      expect([refused.status, await refused.json()]).toMatchObject([400, { error: { param } }])
    }
  })

  it('are off where there is no folder, and say how to turn them on', async () => {
    await using server = await start({ model })
    const message = expect.stringContaining('dotpool serve --files FOLDER')
    const off = { status: 404, code: 'batches_disabled', message }
    const { client } = server
    await expect(upload(client, [line(0)])).rejects.toMatchObject(off)
    await expect(client.files.list()).rejects.toMatchObject(off)
    await expect(client.batches.list()).rejects.toMatchObject(off)
    await expect(client.batches.retrieve('a')).rejects.toMatchObject(off)
  })
})

describe('files', () => {
  it('are kept, listed, told and deleted', async () => {
    await using server = await serve()
    const { client } = server
    const ids = [await upload(client, ['a']), await upload(client, ['bc'])]
    const { data } = await client.files.list()
    expect(data.map(({ id, bytes }) => [id, bytes])).toEqual([
      [ids[1], 2],
      [ids[0], 1],
    ])
    expect((await client.files.list({ order: 'asc', limit: 1 })).data[0].id).toBe(ids[0])
    expect((await client.files.list({ purpose: 'batch_output' })).data).toEqual([])
    expect(await (await client.files.content(ids[1])).text()).toBe('bc')
    expect(await client.files.delete(ids[0])).toMatchObject({ id: ids[0], deleted: true })
    await expect(client.files.retrieve(ids[0])).rejects.toMatchObject({ status: 404 })
    await expect(client.files.content('../lock')).rejects.toMatchObject({ status: 404 })
  })

  it('of another purpose, or with other fields, are refused and not kept', async () => {
    await using server = await serve()
    const send = async (fields: Record<string, string | Blob>) => {
      const body = new FormData()
      for (const [name, value] of Object.entries(fields)) body.append(name, value)
      const answer = await fetch(`${server.url}/v1/files`, { method: 'POST', body })
      const { error } = (await answer.json()) as { error: { param: string } }
      return [answer.status, error.param]
    }
    const file = new Blob(['a'])
    expect(await send({ file, purpose: 'fine-tune' })).toEqual([400, 'purpose'])
    expect(await send({ file })).toEqual([400, 'purpose'])
    expect(await send({ purpose: 'batch' })).toEqual([400, 'file'])
    expect(await send({ file, purpose: 'batch', expires: '1' })).toEqual([400, 'expires'])
    const sendRaw = async (type: string, body: string) => {
      const request = { method: 'POST', headers: { 'content-type': type }, body }
      return (await fetch(`${server.url}/v1/files`, request)).status
    }
    expect(await sendRaw('application/json', '{"purpose":"batch"}')).toBe(400)
    expect(await sendRaw('multipart/form-data', 'a')).toBe(400)
    const broken = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    expect(await sendRaw('multipart/form-data; boundary=x', broken)).toBe(400)
    expect((await server.client.files.list()).data).toEqual([])
  })

  it('that a batch needs are not deleted', async () => {
    const gate = openable()
    await using server = await serve(scripted(model, 'a', gate.opened))
    const { client } = server
    const { id, input_file_id } = await create(client, [line(0)])
    await expect(client.files.delete(input_file_id)).rejects.toMatchObject({ status: 409 })
    gate.open()
    await ended(client, id)
    expect((await client.files.delete(input_file_id)).deleted).toBe(true)
  })
})

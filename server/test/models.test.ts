import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ModelLoader, ModelStore } from '#server/index.js'
import { shallowFixture } from '../../test/support/shallow-fixture.js'
import { openable, post, scripted, start } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, shallowFixture(), { kvBytes: 1 })
})
afterAll(async () => await pool.close())

/** Takes all memory of {@link storeOf}. Says its text, the last of it once the gate opens. */
function says(text: string, gate?: Promise<void>): ModelLoader {
  return { bytes: 10, maxContext: 1024, load: async () => scripted(model, text, gate) }
}

async function storeOf(models: Record<string, ModelLoader>): Promise<ModelStore> {
  const store = new ModelStore(models, { memoryBytes: 10 })
  await store.ready
  return store
}

describe('models that do not fit all at once', () => {
  it('are loaded for their requests, and listed', async () => {
    await using server = await start(await storeOf({ a: says('from a'), b: says('from b') }))
    const statuses = async () => {
      const { data } = await server.client.models.list()
      return data.map((entry) => (entry as unknown as { status: { value: string } }).status.value)
    }
    expect(await statuses()).toEqual(['loaded', 'unloaded'])
    const answer = await server.client.completions.create({ model: 'b', prompt: 'A' })
    expect(answer.choices[0].text).toBe('from b')
    expect(await statuses()).toEqual(['unloaded', 'loaded'])
    const first = await post(`${server.url}/v1/completions`, { prompt: 'A' })
    expect(await first.json()).toMatchObject({ model: 'a', choices: [{ text: 'from a' }] })
    const tokens = await post(`${server.url}/tokenize`, { model: 'b', prompt: 'A' })
    expect(tokens.status).toBe(200)
    expect(await statuses()).toEqual(['unloaded', 'loaded'])
  })

  it('are not unloaded while a stream of theirs runs', async () => {
    const gate = openable()
    const models = { a: says('a text', gate.opened), b: says('b') }
    await using server = await start(await storeOf(models))
    const running = await post(`${server.url}/v1/completions`, { prompt: 'A', stream: true })
    const refused = await post(`${server.url}/v1/completions`, { model: 'b', prompt: 'A' })
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('5')
    expect(await refused.json()).toMatchObject({ error: { code: 'unavailable' } })
    gate.open()
    expect(await running.text()).toContain('data: [DONE]')
    const later = await post(`${server.url}/v1/completions`, { model: 'b', prompt: 'A' })
    expect(later.status).toBe(200)
  })

  it('let those who wait for them go when their time is up, or they leave', async () => {
    const gate = openable()
    const slow = { ...says('b'), load: () => gate.opened.then(() => scripted(model, 'b')) }
    const store = await storeOf({ a: says('a'), b: slow })
    await using server = await start(store, { requestTimeoutSeconds: 0.05 })
    const late = await post(`${server.url}/v1/completions`, { model: 'b', prompt: 'A' })
    expect(late.status).toBe(504)
    const leaving = new AbortController()
    const left = post(`${server.url}/models/load`, { model: 'b' }, leaving.signal)
    await expect.poll(() => store.info('b').waiting).toBe(1)
    leaving.abort()
    await expect(left).rejects.toThrow()
    await expect.poll(() => store.info('b').waiting).toBe(0)
    gate.open()
  })

  it('are loaded and unloaded by routes as llama-server has them, behind the key', async () => {
    const store = await storeOf({ a: says('a'), b: says('b') })
    await using server = await start(store, { apiKeys: ['key'] })
    const send = async (path: string, name: string) => {
      return await fetch(`${server.url}/models/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: 'Bearer key' },
        body: JSON.stringify({ model: name }),
      })
    }
    expect((await post(`${server.url}/models/load`, { model: 'b' })).status).toBe(401)
    const loaded = await send('load', 'b')
    expect([loaded.status, await loaded.json()]).toEqual([200, { success: true }])
    expect([...store.loaded.keys()]).toEqual(['b'])
    expect((await send('unload', 'b')).status).toBe(200)
    expect(store.loaded.size).toBe(0)
    expect((await send('load', 'c')).status).toBe(404)
  })

  it('keep their metrics: no counter goes down', async () => {
    const load = () => Model.load(pool, shallowFixture(), { kvBytes: 1 })
    const loader = { bytes: 10, maxContext: 1024, load }
    await using server = await start(await storeOf({ a: loader, b: loader }))
    const complete = async (name: string) => {
      const body = { model: name, prompt: [1, 2], max_tokens: 2, ignore_eos: true }
      expect((await post(`${server.url}/v1/completions`, body)).status).toBe(200)
    }
    const read = async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text()
      return (name: string) =>
        Number(
          text
            .split('\n')
            .find((line) => line.startsWith(name))
            ?.split(' ')[1],
        )
    }
    await complete('a')
    const before = await read()
    await complete('b')
    const after = await read()
    for (const name of ['dotpool_steps_total', 'vllm:generation_tokens_total']) {
      expect(before(`${name}{model_name="a"}`)).toBeGreaterThan(0)
      expect(after(`${name}{model_name="a"}`)).toBe(before(`${name}{model_name="a"}`))
    }
    expect(after('vllm:num_requests_running{model_name="a"}')).toBe(0)
    expect(after('vllm:cache_config_info{model_name="a"')).toBeNaN()
    expect(after('dotpool_model_loaded{model_name="a"}')).toBe(0)
    expect(after('dotpool_model_loaded{model_name="b"}')).toBe(1)
    await complete('a')
    const again = await read()
    const steps = 'dotpool_steps_total{model_name="a"}'
    expect(again(steps)).toBeGreaterThan(before(steps))
  })
})

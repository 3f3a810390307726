import { type Model, Pool } from 'dotpool'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Conformance } from './openapi.js'
import { collect, loadModel, post, scripted, start, type TestServer } from './support.js'

/*
 * OpenAI's own client over a real socket, against a small model. Every answer is checked against the OpenAPI document.
 */

const HERMES =
  'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>\n' +
  '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
const THOUGHT = '<think>\nRain?\n</think>\n\nYes.'

let pool: Pool
let model: Model
let server: TestServer
let conformance: Conformance
let client: OpenAI
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
  const caller = scripted(model, HERMES)
  const thinker = scripted(model, THOUGHT)
  const spare = { bytes: 1, maxContext: 1024, load: async () => scripted(model, '') }
  server = await start({ shakespeare: model, caller, thinker, spare })
  conformance = await Conformance.of(server.url)
  const baseURL = `${server.url}/v1`
  client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0, fetch: conformance.fetch })
})
afterAll(async () => {
  await server.close()
  await pool.close()
})

const messages = [{ role: 'user' as const, content: 'What say' }]
const weather = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: {} } },
}

describe('chat completions', () => {
  const request = { model: 'shakespeare', messages, max_completion_tokens: 12, temperature: 0 }

  it('answer as the library does', async () => {
    const { choices, usage } = await client.chat.completions.create(request)
    const { text, usage: expected } = await model.generate(messages, { maxTokens: 12 }).result
    expect(choices).toMatchObject([{ index: 0, finish_reason: 'length', logprobs: null }])
    expect(choices[0].message).toEqual({ role: 'assistant', content: text, refusal: null })
    expect(usage?.prompt_tokens).toBe(expected.promptTokens)
    expect(usage?.completion_tokens).toBe(12)
    expect(usage?.total_tokens).toBe(expected.promptTokens + 12)
  })

  it('stream the same text, and the usage where it is asked for', async () => {
    const whole = await client.chat.completions.create(request)
    const stream_options = { include_usage: true }
    const chunks = await collect(
      await client.chat.completions.create({ ...request, stream: true, stream_options }),
    )
    const last = chunks.pop()
    expect(last?.choices).toEqual([])
    expect(last?.usage).toMatchObject({ ...whole.usage, prompt_tokens_details: expect.anything() })
    expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' })
    const text = chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')
    expect(text).toBe(whole.choices[0].message.content)
    expect(chunks.map(({ choices }) => choices[0].finish_reason)).toEqual([
      ...chunks.slice(1).map(() => null),
      'length',
    ])
    const plain = await collect(await client.chat.completions.create({ ...request, stream: true }))
    expect(plain).toHaveLength(chunks.length)
    expect(plain.every((chunk) => chunk.usage === undefined)).toBe(true)
  })

  it('give several choices, each by a seed of its own', async () => {
    const body = { ...request, temperature: 1, seed: 7, n: 3 }
    const { choices, usage } = await client.chat.completions.create(body)
    const texts = choices.map(({ message }) => message.content)
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(new Set(texts).size).toBe(3)
    expect(usage?.completion_tokens).toBe(36)
    const second = await client.chat.completions.create({ ...body, seed: 8, n: 1 })
    expect(second.choices[0].message.content).toBe(texts[1])
    const chunks = await collect(await client.chat.completions.create({ ...body, stream: true }))
    const streamed = [0, 1, 2].map((i) => {
      const of = chunks.flatMap(({ choices }) => choices.filter(({ index }) => index === i))
      return of.map(({ delta }) => delta.content ?? '').join('')
    })
    expect(streamed).toEqual(texts)
  })

  it('tell how likely tokens were', async () => {
    const body = { ...request, logprobs: true, top_logprobs: 2 }
    const { choices } = await client.chat.completions.create(body)
    const { message, logprobs } = choices[0]
    const tokens = logprobs?.content ?? []
    expect(tokens).toHaveLength(12)
    const bytes = tokens.flatMap(({ bytes }) => bytes ?? [])
    expect(Buffer.from(bytes).toString()).toBe(message.content)
    for (const { token, logprob, top_logprobs } of tokens) {
      // greedy
      expect(top_logprobs[0]).toMatchObject({ token, logprob })
      expect(top_logprobs).toHaveLength(2)
    }
    const chunks = await collect(await client.chat.completions.create({ ...body, stream: true }))
    expect(chunks.flatMap(({ choices }) => choices[0].logprobs?.content ?? [])).toEqual(tokens)
  })

  it('sample as they are asked to', async () => {
    const ask = async (more: object) => {
      const { choices } = await client.chat.completions.create({ ...request, ...more })
      return choices[0]
    }
    const { message } = await ask({})
    const word = message.content?.trim().split(/\s+/)[1] ?? ''
    const stopped = await ask({ stop: word })
    expect(stopped.finish_reason).toBe('stop')
    expect(stopped.message.content).toBe(message.content?.slice(0, message.content.indexOf(word)))
    const forced = await ask({ logit_bias: { 77: 100 }, max_completion_tokens: 3 })
    expect(forced.message.content).toBe(model.tokenizer.decode([77, 77, 77]))
    const penalised = await ask({ logit_bias: { 77: 100 }, presence_penalty: 2, top_k: 1 })
    expect(penalised.message.content).toBe(model.tokenizer.decode(Array(12).fill(77)))
  })

  it('tell what the model calls, in deltas too', async () => {
    const body = { ...request, model: 'caller', tools: [weather] }
    const { choices } = await client.chat.completions.create(body)
    const [{ message, finish_reason }] = choices
    expect(finish_reason).toBe('tool_calls')
    expect(message.content).toBe('Let me see.')
    const calls = message.tool_calls ?? []
    expect(calls).toMatchObject([
      { type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } },
      { type: 'function', function: { name: 'weather', arguments: '{"city": "Oslo"}' } },
    ])
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2)
    const stream = client.chat.completions.stream(body)
    const final = await stream.finalChatCompletion()
    const streamed = final.choices[0].message
    expect(streamed.content).toBe('Let me see.')
    expect(streamed.tool_calls?.map((call) => 'function' in call && call.function)).toMatchObject(
      calls.map((call) => 'function' in call && call.function),
    )
    const results = calls.map(({ id }) => ({
      role: 'tool' as const,
      tool_call_id: id,
      content: 'rain',
    }))
    const again = { ...request, messages: [...messages, message, ...results], tools: [weather] }
    expect((await client.chat.completions.create(again)).choices).toHaveLength(1)
  })

  it('leave calls alone where there is nothing to call', async () => {
    for (const more of [{}, { tools: [weather], tool_choice: 'none' as const }]) {
      const body = { ...request, model: 'caller', ...more }
      const { choices } = await client.chat.completions.create(body)
      expect(choices[0].message.content).toBe(HERMES)
      expect(choices[0].finish_reason).toBe('stop')
    }
  })

  it('tell what the model thinks apart', async () => {
    const body = { ...request, model: 'thinker' }
    const { choices } = await client.chat.completions.create(body)
    expect(choices[0].message).toMatchObject({ reasoning_content: 'Rain?', content: 'Yes.' })
    const begun = { ...body, chat_template_kwargs: { enable_thinking: true } }
    const chunks = await collect(await client.chat.completions.create({ ...begun, stream: true }))
    const deltas = chunks.map(({ choices }) => choices[0].delta)
    expect(deltas.map((delta) => delta.content ?? '').join('')).toBe('Yes.')
  })
})

describe('completions', () => {
  const request = { model: 'shakespeare', prompt: 'ROMEO:\nWhat', max_tokens: 8, temperature: 0 }

  it('continue a text, or tokens, as the library does', async () => {
    const { text } = await model.generate(request.prompt, { maxTokens: 8 }).result
    const whole = await client.completions.create(request)
    expect(whole.choices).toEqual([{ index: 0, text, logprobs: null, finish_reason: 'length' }])
    const tokens = model.tokenizer.encode(request.prompt)
    const same = await client.completions.create({ ...request, prompt: [tokens, tokens], n: 2 })
    expect(same.choices.map((choice) => choice.text)).toEqual([text, text, text, text])
    expect(same.usage?.prompt_tokens).toBe(2 * tokens.length)
    const chunks = await collect(await client.completions.create({ ...request, stream: true }))
    expect(chunks.map(({ choices }) => choices[0].text).join('')).toBe(text)
  })

  it('tell how likely tokens were, and where they are', async () => {
    const { choices } = await client.completions.create({ ...request, logprobs: 1 })
    const { text, logprobs } = choices[0]
    expect(logprobs?.tokens?.join('')).toBe(text)
    const { tokens = [], text_offset = [] } = logprobs ?? {}
    for (const [i, token] of tokens.entries()) {
      expect(text.startsWith(token, text_offset[i])).toBe(true)
    }
    const chunks = await collect(
      await client.completions.create({ ...request, logprobs: 1, stream: true }),
    )
    const offsets = chunks.flatMap(({ choices }) => choices[0].logprobs?.text_offset ?? [])
    expect(offsets).toEqual(text_offset)
  })
})

describe('embeddings', () => {
  const input = ['What say you?', 'ROMEO:']

  it('are those of the library, in base64 and as numbers', async () => {
    const expected = await model.embed(input)
    // the client asks for base64
    const { data, usage } = await client.embeddings.create({ model: 'shakespeare', input })
    expect(data.map(({ embedding }) => Float32Array.from(embedding))).toEqual(expected)
    expect(data.map(({ index }) => index)).toEqual([0, 1])
    const tokens = input.map((text) => model.tokenizer.encode(text))
    const count = tokens.flat().length
    expect(usage).toEqual({ prompt_tokens: count, total_tokens: count })
    for (const [i, same] of [input[1], tokens[1], [tokens[1]]].entries()) {
      const request = { model: 'shakespeare', input: same, encoding_format: 'float' as const }
      const [{ embedding }] = (await client.embeddings.create(request)).data
      expect(Float32Array.from(embedding), `${i}`).toEqual(expected[1])
    }
  })

  it('have as many dimensions as are asked for', async () => {
    const request = { model: 'shakespeare', input: input[0], dimensions: 8 }
    const [{ embedding }] = (await client.embeddings.create(request)).data
    expect(embedding).toHaveLength(8)
    expect(Math.hypot(...embedding)).toBeCloseTo(1, 6)
  })
})

describe('other routes', () => {
  it('list models, with the length of their context', async () => {
    const { data } = await client.models.list()
    expect(data.map(({ id }) => id)).toEqual(['shakespeare', 'caller', 'thinker', 'spare'])
    expect(await client.models.retrieve('shakespeare')).toMatchObject({ max_model_len: 1024 })
  })

  it('load models, and unload none that are to stay', async () => {
    for (const [path, name, status] of [
      ['load', 'shakespeare', 200],
      ['unload', 'shakespeare', 409],
      ['unload', 'spare', 200],
    ] as const) {
      const response = await post(`${server.url}/models/${path}`, { model: name })
      await conformance.check('POST', response.url, response)
      expect(response.status).toBe(status)
    }
  })

  it('tokenise by the fields of vLLM and of llama-server', async () => {
    const ask = async (path: string, body: object) => {
      const response = await post(`${server.url}${path}`, body)
      await conformance.check('POST', response.url, response)
      return await response.json()
    }
    const tokens = model.tokenizer.encode('What say you?')
    expect(await ask('/tokenize', { content: 'What say you?' })).toMatchObject({ tokens })
    const count = tokens.length
    expect(await ask('/tokenize', { prompt: 'What say you?' })).toMatchObject({ tokens, count })
    const text = { content: 'What say you?', prompt: 'What say you?' }
    expect(await ask('/detokenize', { tokens })).toEqual(text)
    const prompt = 'TOOL weather\nUSER: What say\nASSISTANT:'
    expect(await ask('/apply-template', { messages, tools: [weather] })).toEqual({ prompt })
    const conversation = await ask('/tokenize', { messages, tools: [weather] })
    expect(model.tokenizer.decode((conversation as { tokens: number[] }).tokens)).toBe(prompt)
  })

  it('tell health and metrics', async () => {
    for (const path of ['/livez', '/readyz', '/health']) {
      const response = await fetch(`${server.url}${path}`)
      await conformance.check('GET', response.url, response)
      expect(response.status).toBe(200)
    }
    await client.completions.create({ model: 'shakespeare', prompt: 'a', max_tokens: 2 })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    const value = (name: string) =>
      Number(new RegExp(`^${name}{.*shakespeare.*} (.*)$`, 'm').exec(metrics)?.[1])
    expect(value('vllm:generation_tokens_total')).toBeGreaterThan(1)
    expect(value('vllm:num_requests_running')).toBe(0)
    expect(value('vllm:kv_cache_usage_perc')).toBeGreaterThan(0)
    expect(value('vllm:kv_cache_usage_perc')).toBeLessThan(1)
    expect(metrics).toMatch(/^vllm:cache_config_info{model_name="shakespeare",block_size="64",/m)
    const finished = 'vllm:request_success_total{model_name="shakespeare",finished_reason="length"}'
    expect(metrics).toContain(finished)
    for (const name of ['time_to_first_token', 'e2e_request_latency', 'request_queue_time']) {
      expect(value(`vllm:${name}_seconds_count`)).toBeGreaterThan(0)
    }
  })
})

describe('refusals', () => {
  const chat = { model: 'shakespeare', messages, max_tokens: 2 }
  const text = { model: 'shakespeare', prompt: 'a', max_tokens: 2 }
  const embed = { model: 'shakespeare', input: 'a' }
  const pathOf = (body: object) => {
    if ('input' in body) return '/v1/embeddings'
    return 'prompt' in body ? '/v1/completions' : '/v1/chat/completions'
  }
  const schemaless = { type: 'json_schema', json_schema: { name: 'a', schema: 'b' } }

  it.each<[param: string | null, body: object, code?: string]>([
    ['foo', { ...chat, foo: 1 }, 'unsupported_parameter'],
    ['response_format.type', { ...chat, response_format: { type: 'xml' } }],
    ['response_format.json_schema.schema', { ...chat, response_format: schemaless }],
    ['tool_choice', { ...chat, tools: [weather], tool_choice: 'sometimes' }],
    ['tool_choice', { ...chat, tool_choice: 'required' }],
    ['parallel_tool_calls', { ...chat, parallel_tool_calls: 'no' }],
    [
      'tools[0].function.strict',
      { ...chat, tools: [{ ...weather, function: { name: 'f', strict: 'very' } }] },
    ],
    ['temperature', { ...chat, temperature: 'hot' }],
    ['temperature', { ...chat, temperature: -1 }],
    ['logit_bias', { ...chat, logit_bias: { x: 1 } }],
    ['n', { ...chat, n: 9 }],
    ['top_logprobs', { ...chat, top_logprobs: 2 }],
    ['stream_options', { ...chat, stream_options: { include_usage: true } }],
    ['max_tokens', { ...chat, max_completion_tokens: 3 }],
    ['messages[0].role', { ...chat, messages: [{ role: 'nobody', content: 'x' }] }],
    [
      'messages[0].content[0]',
      { ...chat, messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    ],
    ['chat_template_kwargs.messages', { ...chat, chat_template_kwargs: { messages: [] } }],
    [
      'messages',
      { ...chat, messages: [{ role: 'user', content: 'word '.repeat(2000) }] },
      'context_length_exceeded',
    ],
    ['prompt', { ...text, prompt: 'word '.repeat(2000) }, 'context_length_exceeded'],
    ['prompt', { ...text, prompt: Array(1024).fill(5) }, 'context_length_exceeded'],
    ['prompt', { ...text, prompt: [] }],
    ['prompt', { ...text, prompt: Array(9).fill('a') }],
    ['echo', { ...text, echo: true }],
    ['input', { ...embed, input: '' }],
    ['input', { ...embed, input: [] }],
    ['input[1]', { ...embed, input: ['a', ''] }],
    ['input[1]', { ...embed, input: [[1], []] }],
    ['input', { ...embed, input: 'word '.repeat(2000) }, 'context_length_exceeded'],
    ['input[1]', { ...embed, input: [[1], Array(1025).fill(5)] }, 'context_length_exceeded'],
    ['input[0][1]', { ...embed, input: [[1, 1e6]] }],
    ['dimensions', { ...embed, dimensions: 1e6 }],
    ['encoding_format', { ...embed, encoding_format: 'int8' }],
    ['truncate', { ...embed, truncate: true }, 'unsupported_parameter'],
    ['stop[0]', { ...text, stop: [''] }],
    ['stop', { ...text, stop: '\ud800' }],
    [null, { model: 'shakespeare' }],
  ])('name the field: %s', async (param, body, code) => {
    const path = pathOf(body)
    for (const stream of path === '/v1/embeddings' ? [undefined] : [false, true]) {
      // stream_options are fine with a stream
      if (stream && param === 'stream_options') continue
      const response = await post(`${server.url}${path}`, { ...body, stream })
      await conformance.check('POST', response.url, response)
      const { error } = (await response.json()) as { error: Record<string, unknown> }
      expect([response.status, error.param]).toEqual([400, param])
      expect(error.type).toBe('invalid_request_error')
      if (code !== undefined) expect(error.code).toBe(code)
    }
  })

  it('reach the client as its own errors', async () => {
    const unknown = client.chat.completions.create({ ...chat, model: 'nobody' })
    await expect(unknown).rejects.toThrow(OpenAI.NotFoundError)
    const malformed = await post(`${server.url}/v1/completions`, '{')
    expect(malformed.status).toBe(400)
    const route = await fetch(`${server.url}/v1/nothing`)
    expect(route.status).toBe(404)
    for (const response of [malformed, route]) {
      expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } })
    }
  })
})

it('every route has answered, at once and by a stream, and as the document says', async () => {
  const request = { model: 'shakespeare', input: 'What say', max_output_tokens: 2 }
  await client.responses.create(request)
  await collect(await client.responses.create({ ...request, stream: true }))
  // batches.test.ts has those of files and batches
  const answers = conformance.answers.filter((answer) => !/ \/v1\/(files|batches)/.test(answer))
  expect([...conformance.checked]).toEqual(expect.arrayContaining(answers))
})

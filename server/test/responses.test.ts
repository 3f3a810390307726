import { type Model, Pool } from 'dotpool'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Conformance } from './openapi.js'
import { collect, loadModel, post, scripted, start, type TestServer } from './support.js'

/*
 * OpenAI's own client over a real socket, against a small model, and one that says what the test wants. Every answer
 * and event is checked against the OpenAPI document.
 */

const CALLS =
  'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>\n' +
  '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
const THOUGHT = '<think>\nRain?\n</think>\n\nYes.'

let pool: Pool
let model: Model
let server: TestServer
let client: OpenAI
let conformance: Conformance
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
  const caller = scripted(model, CALLS)
  const thinker = scripted(model, THOUGHT)
  const silent = scripted(model, '')
  server = await start({ shakespeare: model, caller, thinker, silent })
  conformance = await Conformance.of(server.url)
  const baseURL = `${server.url}/v1`
  client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0, fetch: conformance.fetch })
})
afterAll(async () => {
  await server.close()
  await pool.close()
})

const request = { model: 'shakespeare', input: 'What say', max_output_tokens: 12, temperature: 0 }
const tools = [
  {
    type: 'function' as const,
    name: 'weather',
    parameters: { type: 'object', properties: {} },
    strict: false,
  },
]

async function eventsOf(body: object): Promise<OpenAI.Responses.ResponseStreamEvent[]> {
  return await collect(
    await client.responses.create({ ...request, ...body, stream: true } as typeof request & {
      stream: true
    }),
  )
}

describe('a response', () => {
  it('is what the library generates', async () => {
    const { output_text, status, usage, ...response } = await client.responses.create(request)
    const messages = [{ role: 'user' as const, content: request.input }]
    const expected = await model.generate(messages, { maxTokens: 12 }).result
    expect(output_text).toBe(expected.text)
    expect(status).toBe('incomplete')
    expect(response).toMatchObject({
      object: 'response',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ type: 'message', role: 'assistant', status: 'incomplete' }],
      store: false,
      previous_response_id: null,
      max_output_tokens: 12,
    })
    const { promptTokens } = expected.usage
    expect(usage).toMatchObject({
      input_tokens: promptTokens,
      output_tokens: 12,
      total_tokens: promptTokens + 12,
      output_tokens_details: { reasoning_tokens: 0 },
    })
  })

  it('takes instructions, and messages in parts', async () => {
    const { output_text } = await client.responses.create({
      ...request,
      instructions: 'Be brief.',
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'What say' }] }],
    })
    const chat = await client.chat.completions.create({
      ...{ model: 'shakespeare', temperature: 0, max_completion_tokens: 12 },
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'What say' },
      ],
    })
    expect(output_text).toBe(chat.choices[0].message.content)
  })

  it('has what the model says and calls, and takes it back with the results', async () => {
    const body = { ...request, model: 'caller', tools }
    // its items have what the client's helper has parsed, too
    const { output, status } = await client.responses.stream(body).finalResponse()
    expect(status).toBe('completed')
    expect(output).toMatchObject([
      { type: 'message', content: [{ type: 'output_text', text: 'Let me see.' }] },
      { type: 'function_call', name: 'weather', arguments: '{"city": "Rome"}' },
      { type: 'function_call', name: 'weather', arguments: '{"city": "Oslo"}' },
    ])
    const calls = output.filter((item) => item.type === 'function_call')
    expect(new Set(calls.map(({ call_id }) => call_id)).size).toBe(2)
    const results = calls.map(({ call_id }) => ({
      type: 'function_call_output' as const,
      call_id,
      output: 'rain',
    }))
    const user = { role: 'user' as const, content: 'Rain?' }
    const input = [user, ...output, ...results] as OpenAI.Responses.ResponseInput
    expect((await client.responses.create({ ...request, tools, input })).output).toHaveLength(1)
  })

  it('leaves calls alone where there is nothing to call', async () => {
    for (const more of [{}, { tools, tool_choice: 'none' as const }]) {
      const body = { ...request, model: 'caller', ...more }
      expect((await client.responses.create(body)).output_text).toBe(CALLS)
    }
  })

  it('tells what the model thinks apart, and takes it back', async () => {
    const body = { ...request, model: 'thinker' }
    const { output, output_text, usage } = await client.responses.create(body)
    expect(output_text).toBe('Yes.')
    expect(output).toMatchObject([
      { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Rain?' }] },
      { type: 'message' },
    ])
    const thought = usage?.output_tokens_details.reasoning_tokens ?? 0
    expect(thought).toBeGreaterThan(0)
    expect(thought).toBeLessThan(usage?.output_tokens ?? 0)
    const user = { role: 'user' as const, content: 'Sure?' }
    const input = [...output, user] as OpenAI.Responses.ResponseInput
    expect((await client.responses.create({ ...request, input })).output).toHaveLength(1)
  })

  it('has an empty message where the model says nothing', async () => {
    const { output, output_text } = await client.responses.create({ ...request, model: 'silent' })
    expect(output).toMatchObject([{ type: 'message', status: 'completed' }])
    expect(output_text).toBe('')
  })

  it('tells how likely tokens were', async () => {
    const include = ['message.output_text.logprobs' as const]
    const body = { ...request, include, top_logprobs: 2 }
    const { output, output_text } = await client.responses.create(body)
    const [message] = output
    const [part] = message.type === 'message' ? message.content : []
    const logprobs = part?.type === 'output_text' ? (part.logprobs ?? []) : []
    expect(logprobs).toHaveLength(12)
    const bytes = logprobs.flatMap((token) => token.bytes)
    expect(Buffer.from(bytes).toString()).toBe(output_text)
    expect(logprobs.every(({ top_logprobs }) => top_logprobs.length === 2)).toBe(true)
    const streamed = (await eventsOf(body)).flatMap((event) => {
      return event.type === 'response.output_text.delta' ? event.logprobs : []
    })
    expect(streamed).toEqual(logprobs)
  })

  it('has a model think, or not', async () => {
    // the template shows what it was told by the prompt's length
    const tokensOf = async (reasoning: object | null) =>
      (await client.responses.create({ ...request, reasoning })).usage?.input_tokens ?? 0
    const plain = await tokensOf(null)
    expect(await tokensOf({ effort: 'none' })).toBe(plain)
    expect(await tokensOf({ effort: 'medium' })).toBeGreaterThan(plain)
  })
})

describe('a stream of events', () => {
  const message = [
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
  ]
  const call = [
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
  ]
  const reasoning = message.map((type) => type.replace('output_text', 'reasoning_text'))
  const begin = ['response.created', 'response.in_progress']

  it.each<[model: string, types: string[]]>([
    ['shakespeare', [...begin, ...message, 'response.incomplete']],
    ['caller', [...begin, ...message, ...call, ...call, 'response.completed']],
    ['thinker', [...begin, ...reasoning, ...message, 'response.completed']],
    [
      'silent',
      [...begin, ...message.filter((type) => !type.endsWith('delta')), 'response.completed'],
    ],
  ])('of %s comes in order, and is numbered', async (name, types) => {
    const events = await eventsOf({ model: name, tools })
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()])
    // deltas in a row count once
    const told = events.map(({ type }) => type as string)
    expect(told.filter((type, i) => type !== told[i - 1])).toEqual(types)
  })

  it.each(['shakespeare', 'caller', 'thinker'])('of %s comes to the whole', async (name) => {
    const body = { ...request, model: name, tools }
    const whole = await client.responses.create(body)
    // the client's helper puts deltas together
    const final = await client.responses.stream(body).finalResponse()
    const known = ({ output, usage, status }: typeof whole) => {
      const items = output.map((item) => ({ ...item, id: '', call_id: '' }))
      return { items, status, output: usage?.output_tokens }
    }
    expect(final.output).toMatchObject(known(whole).items.map(({ id, call_id, ...item }) => item))
    expect(final.status).toBe(whole.status)
    const events = await eventsOf(body)
    const last = events.at(-1)
    const response = last && 'response' in last ? last.response : undefined
    const ended = events.flatMap((event) => {
      return event.type === 'response.output_item.done' ? [event.item] : []
    })
    expect(response?.output).toEqual(ended)
  })

  it('has names of its types, and no other end', async () => {
    const response = await post(`${server.url}/v1/responses`, { ...request, stream: true })
    const events = (await response.text()).trimEnd().split('\n\n')
    for (const event of events) {
      const [name, data, ...others] = event.split('\n')
      expect(others).toEqual([])
      expect(name).toBe(`event: ${JSON.parse(data.slice('data: '.length)).type}`)
    }
    expect(events.at(-1)).toMatch(/^event: response.incomplete\n/)
  })

  it('that fails ends with the response as failed', async () => {
    let fail: (error: Error) => void = () => {}
    const gate = new Promise<void>((_, reject) => {
      fail = reject
    })
    await using failing = await start({ failing: scripted(model, 'What say you?', gate) })
    const checked = await Conformance.of(failing.url)
    const body = { ...request, model: 'failing', stream: true as const }
    const events: OpenAI.Responses.ResponseStreamEvent[] = []
    for await (const event of await failing.client.responses.create(body)) {
      if (event.type === 'response.output_text.delta') fail(new Error('broken'))
      events.push(event)
    }
    const last = events.at(-1)
    expect(last).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error' } },
    })
    expect(last && 'response' in last && last.response.output_text).not.toBe('')
    const whole = post(`${failing.url}/v1/responses`, { ...request, model: 'failing' })
    const answered = await whole
    await checked.check('POST', answered.url, answered)
    expect(answered.status).toBe(500)
  })
})

it('an error that comes before the response has begun is an event of its own', async () => {
  let fail: (error: Error) => void = () => {}
  const gate = new Promise<void>((_, reject) => {
    fail = reject
  })
  const models = { failing: scripted(model, 'Yes', gate) }
  await using failing = await start(models, { pingSeconds: 0.001 })
  const checked = await Conformance.of(failing.url)
  const body = { ...request, model: 'failing', stream: true }
  const response = await post(`${failing.url}/v1/responses`, body)
  // a comment has begun the stream
  fail(new Error('broken'))
  await checked.check('POST', response.url, response)
  const text = await response.text()
  expect(text).toContain('event: error\ndata: {"type":"error","code":"internal_error"')
  expect(text).not.toContain('response.created')
})

describe('refusals', () => {
  const call = { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }

  it.each<[param: string | null, body: object, code?: string]>([
    ['foo', { foo: 1 }, 'unsupported_parameter'],
    ['previous_response_id', { previous_response_id: 'resp_1' }, 'unsupported_parameter'],
    ['conversation', { conversation: { id: 'conv_1' } }, 'unsupported_parameter'],
    ['store', { store: true }],
    ['background', { background: true }],
    ['truncation', { truncation: 'auto' }],
    ['n', { n: 2 }, 'unsupported_parameter'],
    ['text.format.type', { text: { format: { type: 'xml' } } }],
    ['text.format.schema', { text: { format: { type: 'json_schema', name: 'a' } } }],
    ['reasoning.effort', { reasoning: { effort: 'high' } }],
    ['reasoning.summary', { reasoning: { summary: 'auto' } }],
    ['include[0]', { include: ['reasoning.encrypted_content'] }],
    ['top_logprobs', { top_logprobs: 2 }],
    ['tools[0].type', { tools: [{ type: 'web_search' }] }],
    ['tools[0].strict', { tools: [{ ...tools[0], strict: 'very' }] }],
    ['tool_choice', { tools, tool_choice: 'sometimes' }],
    ['tool_choice', { tool_choice: 'required' }],
    ['parallel_tool_calls', { parallel_tool_calls: 'no' }],
    ['max_output_tokens', { max_output_tokens: 0 }],
    ['input[0].type', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
    ['input[0].role', { input: [{ role: 'nobody', content: 'a' }] }],
    ['input[0].content[0].type', { input: [{ role: 'user', content: [{ type: 'input_image' }] }] }],
    ['input[0].arguments', { input: [{ ...call, arguments: 5 }] }],
    ['input[0].arguments', { input: [{ ...call, arguments: '5' }] }],
    ['input[0].foo', { input: [{ ...call, foo: 1 }] }, 'unsupported_parameter'],
    [
      'input[1].call_id',
      { input: [call, { type: 'function_call_output', call_id: 'b', output: '' }] },
    ],
    ['input[0].summary', { input: [{ type: 'reasoning', summary: [{ text: 'a' }] }] }],
    ['input', { input: 'word '.repeat(2000) }, 'context_length_exceeded'],
  ])('name the field: %s', async (param, body, code) => {
    for (const stream of [false, true]) {
      const response = await post(`${server.url}/v1/responses`, { ...request, ...body, stream })
      await conformance.check('POST', response.url, response)
      const { error } = (await response.json()) as { error: Record<string, unknown> }
      expect([response.status, error.param]).toEqual([400, param])
      if (code !== undefined) expect(error.code).toBe(code)
    }
  })
})

import { type GenerateOptions, type Model, Pool } from 'dotpool'
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions'
import type { ResponseCreateParamsNonStreaming } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, loadModel, post, scripted, start, type TestServer } from './support.js'

let pool: Pool
let model: Model
let server: TestServer
/** A model of plays likes white space. */
let quick: { logit_bias: Record<string, number>; max_completion_tokens: number }
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await loadModel(pool)
  server = await start({ toy: model })
  const [line] = model.tokenizer.encode('\n')
  quick = { logit_bias: { [line]: -100 }, max_completion_tokens: 90 }
})
afterAll(async () => {
  await server.close()
  model.dispose()
  await pool.close()
})

const messages = [{ role: 'user' as const, content: 'Where to?' }]
const trip = {
  type: 'object',
  properties: {
    to: { enum: ['Rome', 'Oslo'] },
    n: { type: 'integer', minimum: 1, maximum: 9 },
  },
  required: ['to', 'n'],
  additionalProperties: false,
}
const expectTrip = (json: string | null) => {
  const value = JSON.parse(json ?? '')
  expect(Object.keys(value)).toEqual(['to', 'n'])
  expect(['Rome', 'Oslo']).toContain(value.to)
  expect(value.n).toBeGreaterThanOrEqual(1)
  expect(value.n).toBeLessThanOrEqual(9)
}

type Body = Partial<ChatCompletionCreateParamsNonStreaming> & Record<string, unknown>
async function chat(body: Body) {
  const request = { ...quick, model: 'toy', messages, seed: 1, ...body }
  const { choices } = await server.client.chat.completions.create({ ...request, stream: false })
  return choices[0]
}

async function refusal(body: object, path = 'chat/completions') {
  const prompt = path === 'completions' ? { prompt: 'a' } : { messages }
  const response = await post(`${server.url}/v1/${path}`, { ...prompt, ...body })
  const { error } = (await response.json()) as { error: { param: string; message: string } }
  return { status: response.status, param: error.param, message: error.message }
}

describe('an answer', () => {
  it('has the JSON schema of response_format', async () => {
    const response_format = {
      type: 'json_schema' as const,
      json_schema: { name: 'trip', schema: trip, strict: true },
    }
    const { message, finish_reason } = await chat({ response_format })
    expect(finish_reason).toBe('stop')
    expectTrip(message.content)
    const cut = await chat({ response_format, max_completion_tokens: 3 })
    expect(cut.finish_reason).toBe('length')
    expect(cut.message.content).toMatch(/^\{/)
  })

  it('is one of several that differ, or comes in pieces, and has it nonetheless', async () => {
    const response_format = {
      type: 'json_schema' as const,
      json_schema: { name: 'a', schema: trip },
    }
    const request = { ...quick, model: 'toy', messages, seed: 3 }
    const { choices } = await server.client.chat.completions.create({
      ...request,
      response_format,
      n: 2,
    })
    for (const { message } of choices) expectTrip(message.content)
    const stream = await server.client.chat.completions.create({
      ...request,
      response_format,
      stream: true,
    })
    const pieces = (await collect(stream)).map(({ choices }) => choices[0]?.delta.content ?? '')
    expectTrip(pieces.join(''))
  })

  it('has what structured_outputs asks for', async () => {
    const cases: [Record<string, unknown>, (text: string | null) => void][] = [
      [{ json: trip }, expectTrip],
      [{ json: JSON.stringify(trip) }, expectTrip],
      [{ regex: '[a-f]{3}-\\d\\d' }, (text) => expect(text).toMatch(/^[a-f]{3}-\d\d$/)],
      [{ choice: ['yes', 'no'] }, (text) => expect(text).toMatch(/^(yes|no)$/)],
      [{ grammar: 'root ::= "<" [a-z]{2} ">"' }, (text) => expect(text).toMatch(/^<[a-z]{2}>$/)],
    ]
    for (const [structured_outputs, check] of cases) {
      check((await chat({ structured_outputs })).message.content)
    }
    const body = { model: 'toy', prompt: 'a', max_tokens: 20 }
    const completion = await post(`${server.url}/v1/completions`, {
      ...body,
      structured_outputs: { choice: ['yes', 'no'] },
    })
    const { choices } = (await completion.json()) as { choices: { text: string }[] }
    expect(choices[0].text).toMatch(/^(yes|no)$/)
  })

  it('is refused with the field that cannot be enforced', async () => {
    const schema = { type: 'object', properties: { a: { type: 'array', uniqueItems: true } } }
    const json_schema = { name: 'a', schema }
    const response_format = { type: 'json_schema', json_schema }
    const param = 'response_format.json_schema.schema.properties.a.uniqueItems'
    expect(await refusal({ response_format })).toMatchObject({ status: 400, param })
    expect(await refusal({ response_format, stream: true })).toMatchObject({ param })
    const cases: [Record<string, unknown>, string][] = [
      [{ json: schema }, 'structured_outputs.json.properties.a.uniqueItems'],
      [{ json: '[' }, 'structured_outputs.json'],
      [{ regex: '(' }, 'structured_outputs.regex'],
      [{ grammar: 'root = a' }, 'structured_outputs.grammar'],
      [{ grammar: 'root ::= "a" root' }, 'structured_outputs.grammar'],
      [{ regex: 'a', choice: ['b'] }, 'structured_outputs'],
      [{}, 'structured_outputs'],
      [{ lark: 'a' }, 'structured_outputs.lark'],
    ]
    for (const [structured_outputs, param] of cases) {
      expect(await refusal({ structured_outputs })).toMatchObject({ status: 400, param })
      expect(await refusal({ structured_outputs }, 'completions')).toMatchObject({ param })
    }
    const both = { response_format, structured_outputs: { regex: 'a' } }
    expect(await refusal(both)).toMatchObject({ status: 400, param: 'structured_outputs' })
    const endless = { structured_outputs: { regex: 'a' }, ignore_eos: true }
    expect(await refusal(endless)).toMatchObject({ status: 400, param: 'ignore_eos' })
  })
})

const tools = [
  {
    type: 'function' as const,
    function: { name: 'go', description: 'Books a trip', parameters: trip, strict: true },
  },
  {
    type: 'function' as const,
    function: { name: 'stay', parameters: { type: 'object', uniqueItems: true } },
  },
]
const [go] = tools

describe('calls', () => {
  it('are made where they are required, with arguments that follow a strict schema', async () => {
    for (const tool_choice of [
      'required' as const,
      { type: 'function' as const, function: { name: 'go' } },
    ]) {
      const more = { parallel_tool_calls: false, tool_choice }
      const { message, finish_reason } = await chat({ tools: [go], ...more })
      expect(finish_reason).toBe('tool_calls')
      expect([message.content, message.tool_calls?.length]).toEqual([null, 1])
      const [call] = message.tool_calls ?? []
      if (call.type !== 'function') throw new Error('no function')
      expect(call.function.name).toBe('go')
      expectTrip(call.function.arguments)
    }
  })

  it('are refused by the field that is wrong', async () => {
    const other = { type: 'function' as const, function: { name: 'other' } }
    expect(await refusal({ tool_choice: 'required' })).toMatchObject({ param: 'tool_choice' })
    expect(await refusal({ tools, tool_choice: other })).toMatchObject({ param: 'tool_choice' })
    const parameters = { ...trip, minProperties: 1 }
    const strict = [tools[1], { ...go, function: { ...go.function, parameters } }]
    expect(await refusal({ tools: strict, tool_choice: 'required' })).toMatchObject({
      status: 400,
      param: 'tools[1].function.parameters.minProperties',
    })
    const text = [{ ...go, function: { ...go.function, parameters: { type: 'string' } } }]
    const param = 'tools[0].function.parameters.type'
    expect(await refusal({ tools: text })).toMatchObject({ status: 400, param })
  })
})

describe('a response', () => {
  const respond = async (more: Partial<ResponseCreateParamsNonStreaming>) => {
    const { logit_bias, max_completion_tokens: max_output_tokens } = quick
    const body = { model: 'toy', input: 'Where to?', seed: 1, logit_bias, max_output_tokens }
    return await server.client.responses.create({ ...body, ...more, stream: false })
  }

  it('has the JSON schema of text.format, and tells of it', async () => {
    const format = { type: 'json_schema' as const, name: 'trip', schema: trip, strict: true }
    const { status, text, output_text } = await respond({ text: { format } })
    expect([status, text?.format]).toEqual(['completed', format])
    expectTrip(output_text)
  })

  it('calls the function that it is to call, with arguments that follow its schema', async () => {
    const tools = [{ type: 'function' as const, name: 'book', parameters: trip, strict: true }]
    const { output } = await respond({ tools, tool_choice: { type: 'function', name: 'book' } })
    expect(output).toMatchObject([{ type: 'function_call', name: 'book', status: 'completed' }])
    const [call] = output
    if (call.type === 'function_call') expectTrip(call.arguments)
  })

  it('is refused with the field that cannot be enforced', async () => {
    const schema = { type: 'array', uniqueItems: true }
    const format = { type: 'json_schema' as const, name: 'a', schema }
    await expect(respond({ text: { format } })).rejects.toMatchObject({
      status: 400,
      param: 'text.format.schema.uniqueItems',
    })
  })
})

describe('the format of an answer', () => {
  /** What the model is asked to generate, and the text of the prompt. */
  async function asked(body: Body, by = model): Promise<GenerateOptions['responseFormat']> {
    let options: GenerateOptions = {}
    const speaker = scripted(by, 'words')
    const spy = {
      ...speaker,
      generate: (...args: Parameters<Model['generate']>) => {
        options = args[1] ?? {}
        return speaker.generate(...args)
      },
    } as Model
    await using own = await start({ toy: spy })
    const request = { model: 'toy', messages, ...body }
    await own.client.chat.completions.create({ ...request, stream: false })
    return options.responseFormat
  }
  const literal = (text: string) => ({ type: 'choice', choices: [text] })
  const json = { type: 'json_object' as const }

  it('is free where functions may be called, but need not, and are not strict', async () => {
    expect(await asked({ tools: [tools[1]] })).toBeUndefined()
    expect(await asked({ tools, tool_choice: 'none' })).toBeUndefined()
  })

  it('follows the syntax of calls behind its mark', async () => {
    const call = {
      type: 'sequence',
      formats: [
        literal('<tool_call>\n{"name": "go", "arguments": '),
        { type: 'json_schema', schema: trip },
        literal('}\n</tool_call>'),
      ],
    }
    const text = { type: 'text', without: '<tool_call>' }
    const format = { type: 'sequence', formats: [call, text] }
    expect(await asked({ tools: [go] })).toEqual({
      type: 'sequence',
      formats: [text, { type: 'repeat', format, max: undefined }],
    })
    expect(await asked({ tools: [go], parallel_tool_calls: false })).toEqual({
      type: 'sequence',
      formats: [text, { type: 'repeat', format, max: 1 }],
    })
    const more = { type: 'sequence', formats: [literal('\n'), call] }
    const all = {
      type: 'sequence',
      formats: [call, { type: 'repeat', format: more, max: undefined }],
    }
    expect(await asked({ tools: [go], tool_choice: 'required' })).toEqual(all)
    expect(await asked({ tools: [go], response_format: json })).toEqual({
      type: 'any_of',
      formats: [json, all],
    })
  })

  it('follows the syntax of Llama 3', async () => {
    const template = `{% for m in messages %}{{ m.content }}{% for call in m.tool_calls or [] %}
      {{- '{"name": "' + call.function.name + '", "parameters": ' }}
      {{- (call.function.arguments | tojson) + '}' }}{% endfor %}{% endfor %}`
    const llama = await loadModel(pool, {}, template)
    const head = literal('{"name": "go", "parameters": ')
    const formats = [head, { type: 'json_schema', schema: trip }, literal('}')]
    const call = { type: 'sequence', formats }
    const text = { type: 'regex', regex: '([^\\s{<][\\s\\S]*)?' }
    const one = { tools: [go], parallel_tool_calls: false }
    expect(await asked(one, llama)).toEqual({ type: 'any_of', formats: [text, call] })
    expect(await asked({ ...one, tool_choice: 'required' }, llama)).toEqual(call)
    llama.dispose()
  })

  const thought = [
    { type: 'text', without: '</think>' },
    literal('</think>'),
    { type: 'regex', regex: '[ \\n]{0,4}' },
  ]

  it('begins behind what the model thinks', async () => {
    const chat_template_kwargs = { enable_thinking: true }
    expect(await asked({ response_format: json, chat_template_kwargs })).toEqual({
      type: 'sequence',
      formats: [...thought, json],
    })
    expect(await asked({ response_format: json })).toEqual(json)
  })

  it('lets a model think that begins by itself, unless it is told not to', async () => {
    const template = `{{ messages[0].content }}
      {%- if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n{% endif %}`
    const qwen = await loadModel(pool, {}, template)
    const thinking = { type: 'sequence', formats: [...thought, json] }
    expect(await asked({ response_format: json }, qwen)).toEqual({
      type: 'any_of',
      formats: [json, { type: 'sequence', formats: [literal('<think>'), thinking] }],
    })
    const chat_template_kwargs = { enable_thinking: false }
    expect(await asked({ response_format: json, chat_template_kwargs }, qwen)).toEqual(json)
    qwen.dispose()
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect } from '../support.js'
import { clients } from './clients.js'
import { ClientServer, trip, tripSchema } from './models.js'

/** The client of OpenAI. */
const { OpenAI } = clients

let server: ClientServer
let client: InstanceType<typeof OpenAI>
beforeAll(async () => {
  server = await ClientServer.start()
  client = new OpenAI({ baseURL: server.baseURL, apiKey: 'secret', maxRetries: 0 })
})
afterAll(async () => await server[Symbol.asyncDispose]())

const messages = [{ role: 'user' as const, content: 'What say' }]
const limits = { temperature: 0, max_completion_tokens: 10 }
const long = { model: 'shakespeare', temperature: 1, stream: true as const }
const parameters = { type: 'object', properties: { city: { type: 'string' } } }

describe('openai', () => {
  it('has answers that follow a JSON schema', async () => {
    const format = { type: 'json_schema' as const, name: 'trip', schema: tripSchema, strict: true }
    const { type, ...json_schema } = format
    const shared = { model: 'shakespeare', temperature: 0 }
    const { choices } = await client.chat.completions.create({
      ...{ ...shared, messages, response_format: { type, json_schema } },
    })
    expect(JSON.parse(choices[0].message.content ?? '')).toEqual(trip)
    const request = { ...shared, input: 'What say', text: { format } }
    const { output_text: text } = await client.responses.create(request)
    expect(JSON.parse(text)).toEqual(trip)
  })

  it('chats', async () => {
    const expected = await server.answer('What say', 10)
    const request = { model: 'shakespeare', messages, ...limits }
    const { choices } = await client.chat.completions.create(request)
    expect(choices[0].message.content).toBe(expected)
    const chunks = await collect(await client.chat.completions.create({ ...request, stream: true }))
    const streamed = chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')
    expect(streamed).toBe(expected)
    const final = await client.chat.completions.stream(request).finalChatCompletion()
    expect(final.choices[0].message.content).toBe(expected)
  })

  it('completes', async () => {
    const request = { model: 'shakespeare', prompt: 'ROMEO:', max_tokens: 4 }
    expect((await client.completions.create(request)).choices).toHaveLength(1)
  })

  it('calls functions', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'weather', parameters } }]
    const request = { model: 'caller', messages, tools }
    for (const message of [
      (await client.chat.completions.create(request)).choices[0].message,
      await client.chat.completions.stream(request).finalMessage(),
    ]) {
      expect(message.content).toBe('Let me see.')
      expect(message.tool_calls).toMatchObject([
        { type: 'function', function: { name: 'weather', arguments: '{"city": "Rome"}' } },
      ])
    }
  })

  it('responds', async () => {
    const request = {
      model: 'shakespeare',
      input: 'What say',
      temperature: 0,
      max_output_tokens: 10,
    }
    const { output_text } = await client.responses.create(request)
    expect(output_text).toBe(await server.answer('What say', 10))
    const tools = [{ type: 'function' as const, name: 'weather', parameters, strict: false }]
    const calling = { model: 'caller', input: 'What say', tools }
    let deltas = ''
    const stream = client.responses.stream(calling)
    stream.on('response.function_call_arguments.delta', ({ delta }) => {
      deltas += delta
    })
    const { output } = await stream.finalResponse()
    expect(output).toMatchObject([
      { type: 'message', content: [{ text: 'Let me see.' }] },
      { type: 'function_call', name: 'weather', arguments: '{"city": "Rome"}' },
    ])
    expect(deltas).toBe('{"city": "Rome"}')
  })

  it('embeds', async () => {
    const input = ['What say you?', 'ROMEO:']
    const { data } = await client.embeddings.create({ model: 'shakespeare', input })
    const expected = await server.model.embed(input)
    expect(data.map(({ embedding }) => Float32Array.from(embedding))).toEqual(expected)
  })

  it('lists models', async () => {
    const names = (await collect(await client.models.list())).map(({ id }) => id)
    expect(names).toEqual(['shakespeare', 'caller', 'thinker'])
  })

  it('leaves, and its request ends', async () => {
    for await (const _ of await client.chat.completions.create({ ...long, messages })) break
    await server.idle()
    for await (const _ of await client.responses.create({ ...long, input: 'What say' })) break
    await server.idle()
    const controller = new AbortController()
    const { signal } = controller
    const request = { model: 'shakespeare', messages }
    const pending = client.chat.completions.create(request, { signal })
    controller.abort()
    await expect(pending).rejects.toThrow(OpenAI.APIUserAbortError)
    await server.idle()
  })

  it('throws its own errors', async () => {
    const nobody = client.chat.completions.create({ model: 'nobody', messages })
    await expect(nobody).rejects.toThrow(OpenAI.NotFoundError)
    const wrong = client.responses.create({ model: 'shakespeare', input: 'a', store: true })
    await expect(wrong).rejects.toMatchObject({ status: 400, param: 'store' })
    const long = client.embeddings.create({ model: 'shakespeare', input: 'word '.repeat(2000) })
    await expect(long).rejects.toMatchObject({ code: 'context_length_exceeded' })
    const stranger = new OpenAI({ baseURL: server.baseURL, apiKey: 'wrong', maxRetries: 0 })
    await expect(stranger.models.list()).rejects.toThrow(OpenAI.AuthenticationError)
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect } from '../support.js'
import { clients } from './clients.js'
import { ClientServer, trip, tripSchema } from './models.js'

/** LangChain, by its package for OpenAI. */
const { ChatOpenAI, OpenAIEmbeddings } = clients

let server: ClientServer
beforeAll(async () => {
  server = await ClientServer.start()
})
afterAll(async () => await server[Symbol.asyncDispose]())

const prompt = 'What say'

function chat(model: string, more: object = {}) {
  const { baseURL } = server
  const access = { apiKey: 'secret', configuration: { baseURL }, maxRetries: 0 }
  return new ChatOpenAI({ model, temperature: 0, maxTokens: 10, ...access, ...more })
}

const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}

describe.each([false, true])('@langchain/openai, by the responses API: %s', (useResponsesApi) => {
  it('chats', async () => {
    const model = chat('shakespeare', { useResponsesApi })
    const expected = await server.answer(prompt, 10)
    expect((await model.invoke(prompt)).text).toBe(expected)
    const chunks = await collect(await model.stream(prompt))
    expect(chunks.map(({ text }) => text).join('')).toBe(expected)
  })

  it('has structured output', async () => {
    const model = chat('shakespeare', { useResponsesApi, maxTokens: 200 })
    const schema = { title: 'trip', ...tripSchema }
    const structured = model.withStructuredOutput(schema, { method: 'jsonSchema' })
    expect(await structured.invoke(prompt)).toEqual(trip)
  })

  it('calls functions', async () => {
    const model = chat('caller', { useResponsesApi }).bindTools([weather])
    const { tool_calls: calls } = await model.invoke(prompt)
    expect(calls).toMatchObject([{ name: 'weather', args: { city: 'Rome' } }])
    const chunks = await collect(await model.stream(prompt))
    const whole = chunks.reduce((all, chunk) => all.concat(chunk))
    expect(whole.tool_calls).toMatchObject([{ name: 'weather', args: { city: 'Rome' } }])
  })

  it('leaves, and its request ends', async () => {
    const controller = new AbortController()
    const model = chat('shakespeare', { useResponsesApi, maxTokens: 900 })
    const read = async () => {
      const stream = await model.stream(prompt, { signal: controller.signal })
      for await (const _ of stream) controller.abort()
    }
    await expect(read()).rejects.toThrow(/abort/i)
    await server.idle()
  })

  it('throws errors with what the server says', async () => {
    const nobody = chat('nobody', { useResponsesApi }).invoke(prompt)
    await expect(nobody).rejects.toThrow(/the model "nobody" does not exist/)
  })
})

describe('@langchain/openai', () => {
  it('embeds', async () => {
    const { baseURL } = server
    const access = { apiKey: 'secret', configuration: { baseURL }, maxRetries: 0 }
    const embeddings = new OpenAIEmbeddings({ model: 'shakespeare', ...access })
    const texts = ['What say you?', 'ROMEO:']
    const expected = await server.model.embed(texts)
    const found = await embeddings.embedDocuments(texts)
    expect(found.map((embedding) => Float32Array.from(embedding))).toEqual(expected)
    const one = await embeddings.embedQuery(texts[1])
    expect(Float32Array.from(one)).toEqual(expected[1])
  })
})

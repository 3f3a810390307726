import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect } from '../support.js'
import { clients } from './clients.js'
import { ClientServer, trip, tripSchema } from './models.js'

/** The AI SDK of Vercel, by its provider for servers like this one. */
const { ai, createOpenAICompatible } = clients

type Provider = ReturnType<typeof createOpenAICompatible>

let server: ClientServer
let provider: Provider
beforeAll(async () => {
  server = await ClientServer.start()
  const { baseURL } = server
  provider = createOpenAICompatible({
    name: 'dotpool',
    baseURL,
    apiKey: 'secret',
    includeUsage: true,
    supportsStructuredOutputs: true,
  })
})
afterAll(async () => await server[Symbol.asyncDispose]())

const prompt = 'What say'
const limits = { temperature: 0, maxOutputTokens: 10, maxRetries: 0 }

describe('ai', () => {
  it('generates text', async () => {
    const { text, finishReason, usage } = await ai.generateText({
      ...{ model: provider('shakespeare'), prompt, ...limits },
    })
    expect(text).toBe(await server.answer(prompt, 10))
    expect(finishReason).toBe('length')
    expect(usage.outputTokens).toBe(10)
  })

  it('generates objects of a schema', async () => {
    const { output } = await ai.generateText({
      ...{ model: provider('shakespeare'), prompt, temperature: 0, maxRetries: 0 },
      output: ai.Output.object({ schema: ai.jsonSchema(tripSchema) }),
    })
    expect(output).toEqual(trip)
  })

  it('streams text', async () => {
    const stream = ai.streamText({ model: provider('shakespeare'), prompt, ...limits })
    const text = (await collect(stream.textStream)).join('')
    expect(text).toBe(await server.answer(prompt, 10))
    expect((await stream.usage).outputTokens).toBe(10)
  })

  it('calls functions', async () => {
    const properties = { city: { type: 'string' as const } }
    const inputSchema = ai.jsonSchema<{ city: string }>({ type: 'object', properties })
    const execute = async ({ city }: { city: string }) => `rain in ${city}`
    const tools = { weather: ai.tool({ inputSchema, execute }) }
    const request = { model: provider('caller'), prompt, tools, maxRetries: 0 }
    const { toolCalls, toolResults, text } = await ai.generateText(request)
    expect(text).toBe('Let me see.')
    expect(toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Rome' } }])
    expect(toolResults).toMatchObject([{ output: 'rain in Rome' }])
    const streamed = await ai.streamText(request).toolCalls
    expect(streamed).toMatchObject([{ toolName: 'weather', input: { city: 'Rome' } }])
  })

  it('tells what the model thinks', async () => {
    const request = { model: provider('thinker'), prompt, maxRetries: 0 }
    const { text, reasoningText } = await ai.generateText(request)
    expect([reasoningText, text]).toEqual(['Rain?', 'Yes.'])
  })

  it('embeds', async () => {
    const values = ['What say you?', 'ROMEO:']
    const model = provider.embeddingModel('shakespeare')
    const { embeddings } = await ai.embedMany({ model, values, maxRetries: 0 })
    const expected = await server.model.embed(values)
    expect(embeddings.map((embedding) => Float32Array.from(embedding))).toEqual(expected)
  })

  it('leaves, and its request ends', async () => {
    const controller = new AbortController()
    const stream = ai.streamText({
      ...{ model: provider('shakespeare'), prompt, maxRetries: 0 },
      abortSignal: controller.signal,
    })
    for await (const _ of stream.textStream) controller.abort()
    await server.idle()
  })

  it('throws its own errors', async () => {
    const nobody = ai.generateText({ model: provider('nobody'), prompt, maxRetries: 0 })
    const error = await nobody.catch((error: unknown) => error)
    expect(ai.APICallError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({
      statusCode: 404,
      message: expect.stringContaining('does not exist'),
    })
  })
})

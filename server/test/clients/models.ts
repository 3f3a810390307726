import { type Model, Pool } from 'dotpool'
import { expect } from 'vitest'
import { loadModel, scripted, start, type TestServer } from '../support.js'

const CALL =
  'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
const THOUGHT = '<think>\nRain?\n</think>\n\nYes.'

/** What a trip is, as JSON Schema has it. */
export const tripSchema = {
  type: 'object' as const,
  properties: {
    city: { type: 'string' as const, enum: ['Rome', 'Oslo'] },
    days: { type: 'integer' as const, minimum: 1, maximum: 9 },
  },
  required: ['city', 'days'],
  additionalProperties: false,
}

/** A trip that follows it. */
export const trip = {
  city: expect.stringMatching(/^(Rome|Oslo)$/),
  days: expect.toSatisfy((days) => Number.isInteger(days) && days >= 1 && days <= 9),
}

/** A server on a port of its own: of a small model, and of such that call a function, and think. */
export class ClientServer implements AsyncDisposable {
  readonly #pool: Pool
  readonly #server: TestServer
  readonly model: Model

  private constructor(pool: Pool, server: TestServer, model: Model) {
    this.#pool = pool
    this.#server = server
    this.model = model
  }

  static async start(): Promise<ClientServer> {
    const pool = await Pool.create({ threads: 2 })
    const model = await loadModel(pool)
    const caller = scripted(model, CALL)
    const thinker = scripted(model, THOUGHT)
    const server = await start({ shakespeare: model, caller, thinker }, { apiKeys: ['secret'] })
    return new ClientServer(pool, server, model)
  }

  get baseURL(): string {
    return `${this.#server.url}/v1`
  }

  /** Resolves once the model computes nothing any more. */
  async idle(): Promise<void> {
    const busy = () => this.model.stats().running + this.model.stats().waiting > 0
    while (busy()) await new Promise(setImmediate)
  }

  /** The text that the library answers with. */
  async answer(content: string, maxTokens: number): Promise<string> {
    const messages = [{ role: 'user' as const, content }]
    return (await this.model.generate(messages, { maxTokens }).result).text
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close()
    await this.#pool.close()
  }
}

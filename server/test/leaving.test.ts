import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { AddressInfo, Socket } from 'node:net'
import type { Model, RequestFinishedMessage, StepMessage } from 'dotpool'
import { Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer } from '#server/index.js'
import { loadModel, post } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

/** What happened, in its order. */
type Event =
  | { kind: 'left' }
  | { kind: 'admitted' | 'step'; tokens: number }
  | { kind: 'finished'; message: RequestFinishedMessage }

/**
 * A server that writes down what becomes of requests. The connection of a request for `/leaving` is cut when the test
 * says so: as if its client had left just then.
 */
class Observed implements AsyncDisposable {
  readonly url: string
  readonly events: Event[] = []
  /** Called with each event. */
  onEvent: (event: Event) => void = () => {}
  readonly #model: Model
  readonly #close: () => Promise<void>
  readonly #leaving: { socket?: Socket }
  readonly #listeners: [name: string, listener: (message: unknown) => void][]

  static async start(model: Model): Promise<Observed> {
    const leaving: { socket?: Socket } = {}
    const app = createServer({ models: { model } })
    let observed: Observed | undefined
    app.addHook('onRequest', async (request, reply) => {
      if (request.headers['x-request-id'] !== 'leaving') return
      leaving.socket = request.raw.socket
      reply.raw.once('close', () => observed?.note({ kind: 'left' }))
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const close = async () => await app.close()
    observed = new Observed(`http://127.0.0.1:${port}`, model, leaving, close)
    return observed
  }

  private constructor(
    url: string,
    model: Model,
    leaving: { socket?: Socket },
    close: () => Promise<void>,
  ) {
    this.url = url
    this.#model = model
    this.#leaving = leaving
    this.#close = close
    this.#listeners = [
      [
        'dotpool:request:admitted',
        (message) => this.#onAdmitted(message as { promptTokens: number }),
      ],
      [
        'dotpool:request:finished',
        (message) => this.note({ kind: 'finished', message: message as RequestFinishedMessage }),
      ],
      ['dotpool:step', (message) => this.#onStep(message as StepMessage)],
    ]
    for (const [name, listener] of this.#listeners) subscribe(name, listener)
  }

  note(event: Event): void {
    this.events.push(event)
    this.onEvent(event)
  }

  /** Sends a completion whose client is to leave. */
  send(body: object): void {
    const headers = { 'content-type': 'application/json', 'x-request-id': 'leaving' }
    const options = { method: 'POST', headers, body: JSON.stringify(body) }
    fetch(`${this.url}/v1/completions`, options).then(
      (response) => response.text().catch(() => {}),
      () => {},
    )
  }

  /** Cuts the connection. */
  leave(): void {
    this.#leaving.socket?.destroy()
  }

  /** Resolves with the first event that is looked for. */
  async until(wanted: (event: Event) => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      this.onEvent = (event) => {
        if (wanted(event)) resolve()
      }
    })
  }

  /** The events since the client left. */
  get afterLeaving(): Event[] {
    return this.events.slice(this.events.findIndex(({ kind }) => kind === 'left') + 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, listener] of this.#listeners) unsubscribe(name, listener)
    await this.#close()
  }

  #onAdmitted({ promptTokens: tokens }: { promptTokens: number }): void {
    this.note({ kind: 'admitted', tokens })
  }

  /** Steps that were aborted have computed nothing. */
  #onStep({ model, tokens, error }: StepMessage): void {
    if (model === this.#model && error === undefined) this.note({ kind: 'step', tokens })
  }
}

describe('a client that leaves', () => {
  const long = { prompt: 'ROMEO:', max_tokens: 1000, ignore_eos: true }
  const short = { prompt: 'A', max_tokens: 1 }

  it('has at most one more step computed while its request runs', async () => {
    await using server = await Observed.start(await loadModel(pool))
    let steps = 0
    const running = server.until(({ kind }) => kind === 'step' && ++steps === 3)
    server.send({ ...long, stream: true })
    await running
    const gone = server.until(({ kind }) => kind === 'left')
    server.leave()
    await gone
    // its step comes after all that were in flight
    await post(`${server.url}/v1/completions`, short)
    const [finished, ...rest] = server.afterLeaving
    expect(finished).toMatchObject({ kind: 'finished', message: { finishReason: 'aborted' } })
    const after = rest.filter(({ kind }) => kind === 'step')
    expect(after.length).toBeLessThanOrEqual(1 + 1)
  })

  it('has nothing computed while its request waits', async () => {
    // with memory for one request
    const model = await loadModel(pool, { maxContext: 64, kvBytes: 1 })
    await using server = await Observed.start(model)
    const admitted = server.until(({ kind }) => kind === 'admitted')
    const body = { ...long, max_tokens: 40, stream: true }
    const first = await Promise.all([post(`${server.url}/v1/completions`, body), admitted])
    server.send({ ...body, prompt: 'JULIET: and what is more?' })
    while (model.stats().waiting === 0) await new Promise(setImmediate)
    server.leave()
    const left = server.until(({ kind }) => kind === 'left')
    await Promise.all([left, first[0].text()])
    const ends = server.events.flatMap((event) =>
      event.kind === 'finished' ? [event.message] : [],
    )
    expect(ends.map(({ finishReason }) => finishReason).sort()).toEqual(['aborted', 'length'])
    const aborted = ends.find(({ finishReason }) => finishReason === 'aborted')
    expect(aborted).toMatchObject({ queueMillis: undefined, completionTokens: 0 })
    expect(server.events.filter(({ kind }) => kind === 'admitted')).toHaveLength(1)
  })

  it('has at most one more step computed while its prompt is', async () => {
    const model = await loadModel(pool)
    await using server = await Observed.start(model)
    const decoding = server.until(({ kind }) => kind === 'step')
    const other = await post(`${server.url}/v1/completions`, {
      ...long,
      max_tokens: 60,
      stream: true,
    })
    await decoding
    // beside one that decodes, a prompt is computed in parts
    const isOfPrompt = (event: Event) => event.kind === 'step' && event.tokens > 2
    const prompt = Array.from({ length: 400 }, (_, i) => i)
    server.onEvent = (event) => {
      if (isOfPrompt(event)) server.leave()
    }
    server.send({ prompt, max_tokens: 5 })
    await other.text()
    expect(server.afterLeaving.filter(isOfPrompt).length).toBeLessThanOrEqual(1)
    const steps = server.events.filter(isOfPrompt)
    expect(steps.length).toBeGreaterThan(0)
    const rows = steps.reduce((sum, event) => sum + (event.kind === 'step' ? event.tokens : 0), 0)
    expect(rows).toBeLessThan(prompt.length)
  })
})

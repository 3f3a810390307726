import { setTimeout } from 'node:timers/promises'
import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasNats, NatsServer, tellWithoutNats } from '../fleet/nats-server.js'
import { type LogLine, MemberProcess } from '../fleet/process.js'
import { fixture, post } from '../support.js'

tellWithoutNats()

/*
 * Members of a fleet as processes, and what kills them. Answers are those of one machine alone.
 */
describe.runIf(hasNats)('a fleet of processes', () => {
  let pool: Pool
  let model: Model
  let nats: NatsServer
  beforeAll(async () => {
    pool = await Pool.create({ threads: 1 })
    model = await Model.load(pool, fixture)
    nats = await NatsServer.start()
  })
  afterAll(async () => {
    await nats.stop()
    await pool.close()
  })

  const TOKENS = 900

  /** What one machine alone answers. */
  async function expectedText(seed: number, maxTokens = TOKENS): Promise<string> {
    const options = { maxTokens, ignoreEnd: true, sampling: { temperature: 1, topP: 1, seed } }
    return (await model.generate('ROMEO:', options).result).text
  }

  /** A stream, as its text comes. */
  async function* stream(url: string, seed: number, max_tokens = TOKENS): AsyncGenerator<string> {
    const body = {
      model: 'toy',
      prompt: 'ROMEO:',
      max_tokens,
      ignore_eos: true,
      seed,
      stream: true,
    }
    const answer = await post(`${url}/v1/completions`, body)
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
    const lines = answer.body?.pipeThrough(new TextDecoderStream()) as ReadableStream<string>
    let rest = ''
    for await (const piece of lines) {
      const events = (rest + piece).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        if (event === 'data: [DONE]') return
        const { choices, error } = JSON.parse(event.slice('data: '.length))
        if (error !== undefined) throw new Error(error.message)
        yield choices[0].text
      }
    }
    throw new Error('the stream broke off')
  }

  /** @param onPiece called with each */
  async function textOf(
    pieces: AsyncGenerator<string>,
    onPiece = (_: number) => {},
  ): Promise<string> {
    let text = ''
    let count = 0
    for await (const piece of pieces) {
      text += piece
      onPiece(++count)
    }
    return text
  }

  /** Rows that run or wait at a worker. */
  async function rowsOf({ url }: MemberProcess): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    const values = [...text.matchAll(/^vllm:num_requests_(?:running|waiting){.*} (\d+)$/gm)]
    return values.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** The worker that has work, if any has. */
  async function busyOf(workers: readonly MemberProcess[]): Promise<MemberProcess | undefined> {
    for (const worker of workers) {
      if (!worker.hasExited && (await rowsOf(worker)) > 0) return worker
    }
    return undefined
  }

  /** How often a gateway had another worker go on with a request. */
  async function resumesOf({ url }: MemberProcess): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    return Number(/^dotpool_gateway_resumes_total{.*} (\d+)$/m.exec(text)?.[1] ?? 0)
  }

  /** Streams, and does something to the worker amid the answer, until another had to go on. */
  async function disturb(
    gateway: MemberProcess,
    workers: readonly MemberProcess[],
    fault: (worker: MemberProcess) => void,
  ): Promise<void> {
    for (let seed = 0; (await resumesOf(gateway)) === 0; seed++) {
      let disturbing: Promise<void> | undefined
      const text = await textOf(stream(gateway.url, seed), (count) => {
        // the answer may have ended by then
        if (count === 20) disturbing = busyOf(workers).then((worker) => worker && fault(worker))
      })
      await disturbing
      expect(text).toBe(await expectedText(seed))
    }
  }

  it('goes on with a stream whose worker is killed', async () => {
    const prefix = ['--nats-prefix', 'killed']
    await using first = await MemberProcess.worker(nats.url, ...prefix)
    await using second = await MemberProcess.worker(nats.url, ...prefix)
    await using third = await MemberProcess.worker(nats.url, ...prefix)
    await using gateway = await MemberProcess.gateway(nats.url, ...prefix)
    const workers = [first, second, third]
    let killed = 0
    await disturb(gateway, workers, (worker) => {
      // the last is to answer
      if (++killed < workers.length) worker.signal('SIGKILL')
    })
  })

  it('goes on with a stream whose worker is stopped, and is not disturbed when that is back', async () => {
    const prefix = ['--nats-prefix', 'stopped']
    await using first = await MemberProcess.worker(nats.url, ...prefix)
    await using second = await MemberProcess.worker(nats.url, ...prefix)
    await using gateway = await MemberProcess.gateway(nats.url, ...prefix)
    const workers = [first, second]
    await disturb(gateway, workers, (worker) => {
      worker.signal('SIGSTOP')
      void setTimeout(5000).then(() => worker.signal('SIGCONT'))
    })
    await setTimeout(5000)
    expect(await textOf(stream(gateway.url, 99))).toBe(await expectedText(99))
    while ((await rowsOf(first)) + (await rowsOf(second)) > 0) await setTimeout(20)
  })

  it('takes a gateway back that was stopped', async () => {
    const prefix = ['--nats-prefix', 'paused']
    await using _worker = await MemberProcess.worker(nats.url, ...prefix)
    await using gateway = await MemberProcess.gateway(nats.url, ...prefix)
    const pieces = stream(gateway.url, 3)
    await pieces.next()
    gateway.signal('SIGSTOP')
    await setTimeout(3000)
    gateway.signal('SIGCONT')
    const first = (await expectedText(3, 1)) as string
    expect(first + (await textOf(pieces))).toBe(await expectedText(3))
  })

  it('goes on once NATS is there again', async () => {
    await using own = await NatsServer.start()
    await using _first = await MemberProcess.worker(own.url)
    await using _second = await MemberProcess.worker(own.url)
    await using gateway = await MemberProcess.gateway(own.url)
    const streams = Array.from({ length: 8 }, (_, seed) => stream(gateway.url, seed))
    const begun = await Promise.all(
      streams.map(async (pieces) => (await pieces.next()).value ?? ''),
    )
    const rest = Promise.all(streams.map((pieces) => textOf(pieces)))
    for (let i = 1; i <= 2; i++) {
      await own.kill()
      const isLost = ({ msg }: LogLine) => msg === 'the connection to the fleet is lost'
      while (gateway.lines.filter(isLost).length < i) await setTimeout(10)
      // who comes now is told at once
      const refused = await post(`${gateway.url}/v1/completions`, { model: 'toy', prompt: 'A' })
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
      await own.start()
      const isBack = ({ msg }: LogLine) => msg === 'the connection to the fleet is back'
      while (gateway.lines.filter(isBack).length < i) await setTimeout(10)
    }
    for (const [seed, text] of (await rest).entries()) {
      expect(begun[seed] + text).toBe(await expectedText(seed))
    }
  })

  it('loses nothing when all workers are started anew, one by one, under load', async () => {
    const prefix = ['--nats-prefix', 'rolling']
    await using gateway = await MemberProcess.gateway(nats.url, ...prefix)
    let workers = [
      await MemberProcess.worker(nats.url, ...prefix),
      await MemberProcess.worker(nats.url, ...prefix),
    ]
    const start = () => MemberProcess.worker(nats.url, ...prefix)
    let isDone = false
    const ask = async (client: number) => {
      for (let i = 0; !isDone; i++) {
        const seed = client * 1000 + i
        expect(await textOf(stream(gateway.url, seed, 40))).toBe(await expectedText(seed, 40))
      }
    }
    const clients = Promise.all([0, 1, 2].map(ask))
    try {
      for (const worker of workers) {
        workers = [...workers, await start()]
        await worker.end('SIGTERM')
        expect(worker.exitCode).toBe(0)
      }
    } finally {
      isDone = true
      await clients
      for (const worker of workers) await worker.end()
    }
  })

  it('frees the rows of a gateway that is killed within 2 s', async () => {
    const prefix = ['--nats-prefix', 'rows']
    await using worker = await MemberProcess.worker(nats.url, ...prefix)
    const cancelled = () => worker.lines.filter(({ msg }) => msg === 'cancelled')
    while (cancelled().length === 0) {
      await using gateway = await MemberProcess.gateway(nats.url, ...prefix)
      const streams = [0, 1, 2, 3].map((seed) => textOf(stream(gateway.url, seed)).catch(() => ''))
      while ((await rowsOf(worker)) < 4) await setTimeout(1)
      await gateway.end('SIGKILL')
      const start = performance.now()
      while ((await rowsOf(worker)) > 0) await setTimeout(20)
      // a busy machine may take a little longer
      expect(performance.now() - start).toBeLessThan(4000)
      await Promise.all(streams)
    }
  })
})

import { setTimeout } from 'node:timers/promises'
import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasNats, NatsServer, tellWithoutNats } from '../fleet/nats-server.js'
import { MemberProcess } from '../fleet/process.js'
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

  /** The worker that has work. */
  async function busyOf(workers: readonly MemberProcess[]): Promise<MemberProcess> {
    for (;;) {
      for (const worker of workers) if ((await rowsOf(worker)) > 0) return worker
    }
  }

  it('answers on when the worker of a stream is killed', async () => {
    await using first = await MemberProcess.worker(nats.url)
    await using second = await MemberProcess.worker(nats.url)
    await using gateway = await MemberProcess.gateway(nats.url)
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      const workers = [first, second].filter(({ hasExited }) => !hasExited)
      let killing: Promise<void> | undefined
      const text = await textOf(stream(gateway.url, 5), (count) => {
        if (count === 20) killing = busyOf(workers).then((worker) => worker.signal(signal))
      })
      await killing
      expect(text).toBe(await expectedText(5))
      if (signal === 'SIGKILL') break
    }
  })

  it('frees the rows of a gateway that is killed within 2 s', async () => {
    await using worker = await MemberProcess.worker(nats.url, '--nats-prefix', 'rows')
    await using gateway = await MemberProcess.gateway(nats.url, '--nats-prefix', 'rows')
    const streams = Array.from({ length: 4 }, (_, i) =>
      textOf(stream(gateway.url, i)).catch(() => ''),
    )
    while ((await rowsOf(worker)) < 4) await setTimeout(1)
    await gateway.end('SIGKILL')
    const start = performance.now()
    while ((await rowsOf(worker)) > 0) await setTimeout(20)
    // they might have come to their end by themselves, too
    expect(performance.now() - start).toBeLessThan(2000 + 3000)
    await Promise.all(streams)
    expect(worker.lines.filter(({ msg }) => msg === 'cancelled').length).toBeGreaterThan(0)
  })
})

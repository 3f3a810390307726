import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Pool } from '../../src/index.js'
import { summarize } from '../../src/measure/samples.js'
import { randomLinear, randomLinears, randomRows } from '../dotpool.js'
import { ROUNDS } from '../rounds.js'
import { type Shape, shapes } from '../runner.js'
import type { Line, Suite } from '../suite.js'
import { delays } from './event-loop.js'

/** Time of one round for each way of calling. */
const ROUND_MILLIS = 25
const DELAY_MILLIS = 500

export const awaited: Suite = {
  name: 'awaited',
  title: 'await forward beside forwardSync, by turns, input and output in shared memory, M=1',
  async *run({ pool }) {
    yield* compare(pool, 'cached', { k: 512, n: 512 })
    yield* compare(pool, 'cached', { k: 2048, n: 2048 })
    yield* compare(pool, 'rotating', shapes[2])
    await using _server = await startRequests()
    yield* compare(pool, 'requests', { k: 512, n: 512 })
    yield* compare(pool, 'requests', { k: 2048, n: 2048 })
  },
}

async function* compare(pool: Pool, what: string, shape: Shape): AsyncGenerator<Line> {
  const isRotating = what === 'rotating'
  const linears = isRotating ? await randomLinears(pool, shape) : [await randomLinear(pool, shape)]
  const x = randomRows(pool, 1, shape.k)
  const out = pool.tensor('float32', [1, shape.n])
  let call = 0
  const next = () => linears[call++ % linears.length]
  const forward = () => next().forward(x, { out })

  const rounds = { sync: [] as number[][], async: [] as number[][] }
  for (let i = 0; i < ROUNDS; i++) {
    rounds.sync.push(await timeCalls(() => next().forwardSync(x, { out })))
    rounds.async.push(await timeCalls(forward))
  }
  const more = rounds.async.map(
    (micros, i) => summarize(micros).median - summarize(rounds.sync[i]).median,
  )
  const name = `${shape.k} x ${shape.n}, ${what}`
  const unit = 'us'
  yield { name: `${name}, forwardSync`, unit, measured: summarize(rounds.sync.flat()) }
  yield { name: `${name}, await`, unit, measured: summarize(rounds.async.flat()) }
  yield { name: `${name}, await takes more`, unit, measured: summarize(more) }
  const measured = await delays(async () => {
    const end = performance.now() + DELAY_MILLIS
    while (performance.now() < end) await forward()
  })
  yield { name: `${name}, timers late`, unit, measured }
}

async function timeCalls(call: () => unknown): Promise<number[]> {
  const micros: number[] = []
  // so that pending work of the event loop is not part of it
  await new Promise((resolve) => setImmediate(resolve))
  const end = performance.now() + ROUND_MILLIS
  for (let start = performance.now(); start < end; ) {
    const result = call()
    if (result instanceof Promise) await result
    const now = performance.now()
    micros.push((now - start) * 1000)
    start = now
  }
  return micros
}

/** Work for the event loop: an HTTP server of this process, and a request to it every other millisecond. */
async function startRequests(): Promise<AsyncDisposable> {
  const server = createServer((_, response) => response.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const request = () => get({ port, host: '127.0.0.1' }, (response) => response.resume())
  const timer = setInterval(request, 2)
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

import { type Linear, Pool, type Tensor } from '../../src/index.js'
import { summarize, timeSync } from '../../src/measure/samples.js'
import { randomLinear, randomLinears, randomRows } from '../dotpool.js'
import { ROUNDS, type Round } from '../rounds.js'
import { shapes } from '../runner.js'
import { boundSpeed, rate, summarizeCalls } from '../speed.js'
import type { Line, Suite } from '../suite.js'

const shape = shapes[2]
const BYTES = shape.k * shape.n
const IN_FLIGHT = 8
const CALLS_AT_ONCE = 200
/** Calls of one round. */
const CALLS = 40
const SMALL = { k: 512, n: 512 }

export const calls: Suite = {
  name: 'calls',
  title: `many calls at once, and a layer that the cache holds; K=${shape.k} N=${shape.n}, M=1`,
  async *run({ pool }) {
    const linears = await randomLinears(pool, shape)
    const x = randomRows(pool, 1, shape.k)
    yield await inFlight(linears, x)
    yield await atOnce(linears[0], x)
    yield await smallLayer(pool)
  },
}

/** Several callers that await their own calls, against one that stays in C almost all the time. */
async function inFlight(linears: Linear[], x: Tensor<'float32'>): Promise<Line> {
  let turn = 0
  const next = () => linears[turn++ % linears.length]
  const sync = async () => {
    for (let i = 0; i < CALLS; i++) next().forwardSync(x)
  }
  const async = async () => {
    let left = CALLS
    const caller = async () => {
      while (left-- > 0) await next().forward(x)
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, caller))
  }
  const rounds = await byTurns(CALLS, async, CALLS, sync)
  return line(`${IN_FLIGHT} callers, rotating layers`, rounds, 'forwardSync')
}

/** Calls of one Linear, all at once against one after the other. */
async function atOnce(linear: Linear, x: Tensor<'float32'>): Promise<Line> {
  const together = async () => {
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, () => linear.forward(x)))
  }
  const one = async () => {
    for (let i = 0; i < CALLS; i++) await linear.forward(x)
  }
  const rounds = await byTurns(CALLS_AT_ONCE, together, CALLS, one)
  return line(`${CALLS_AT_ONCE} calls of one layer at once`, rounds, 'one by one')
}

/** forwardSync with all threads, against the time that one thread spends in C for the same layer. */
async function smallLayer(pool: Pool): Promise<Line> {
  await using alone = await Pool.create({ threads: 1 })
  const kernel = await randomLinear(alone, SMALL)
  const linear = await randomLinear(pool, SMALL)
  const x = randomRows(pool, 1, SMALL.k)
  const out = pool.tensor('float32', [1, SMALL.n])
  const bytes = SMALL.k * SMALL.n
  const budget = { millis: 25, calls: 1000 }
  const rounds: Round[] = Array.from({ length: ROUNDS }, () => {
    alone.resetStats()
    timeSync(() => kernel.forwardSync(x, { out }), budget)
    const { busyMicros, regions } = alone.stats()
    const bound = rate(bytes, busyMicros / regions)
    return { micros: timeSync(() => linear.forwardSync(x, { out }), budget), bound }
  })
  return {
    name: `${SMALL.k} x ${SMALL.n}, forwardSync`,
    unit: 'us',
    measured: summarizeCalls(rounds),
    speeds: [boundSpeed('GB/s', bytes, rounds, 'kernel alone')],
  }
}

/** Times two ways of making calls by turns; a sample is the time per call. */
async function byTurns(
  count: number,
  run: () => Promise<void>,
  otherCount: number,
  other: () => Promise<void>,
): Promise<Round[]> {
  const rounds: Round[] = []
  for (let i = 0; i < ROUNDS; i++) {
    const bound = rate(BYTES, (await micros(other)) / otherCount)
    rounds.push({ micros: [(await micros(run)) / count], bound })
  }
  return rounds
}

async function micros(run: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await run()
  return (performance.now() - start) * 1000
}

function line(name: string, rounds: Round[], bound: string): Line {
  const measured = summarize(rounds.flatMap((round) => round.micros))
  return { name, unit: 'us', measured, speeds: [boundSpeed('GB/s', BYTES, rounds, bound)] }
}

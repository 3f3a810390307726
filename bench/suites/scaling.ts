import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Pool } from '../../src/index.js'
import { timeMeetings } from '../../src/measure/region.js'
import { Rooflines } from '../../src/measure/rooflines.js'
import { summarize, timeSync } from '../../src/measure/samples.js'
import type { Native } from '../../src/native/abi.js'
import { root } from '../../src/package.js'
import { dotpoolRunner, randomLinear, randomRows } from '../dotpool.js'
import { timeByTurns } from '../rounds.js'
import { ROTATION_BYTES, type Shape, shapes } from '../runner.js'
import { boundSpeed, speed, summarizeCalls } from '../speed.js'
import type { Line, Suite } from '../suite.js'

const shape = shapes[2]

export const scaling: Suite = {
  name: 'scaling',
  title: `1, 2, 4 ... threads, K=${shape.k} N=${shape.n}, beside PyTorch where python3 has it`,
  async *run({ pool: { threads: most }, native }) {
    for (let threads = 1; threads <= most; threads *= 2) {
      await using pool = await Pool.create({ threads })
      yield* ours(pool, native)
      yield* torch(threads, shape)
    }
  },
}

async function* ours(pool: Pool, native: Native): AsyncGenerator<Line> {
  const { read, peak } = new Rooflines(pool, native)
  const prefix = `${pool.threads} threads,`
  const met = await timeMeetings(pool, { millis: 500, calls: 1000 })
  yield { name: `${prefix} all meet`, unit: 'us', measured: summarize(met) }

  const rotation = await dotpoolRunner(pool).rotation(shape)
  const linear = await randomLinear(pool, shape)
  for (const m of [1, 32, 512]) {
    const bytes = shape.k * shape.n
    const operations = 2 * m * bytes
    const rounds = timeByTurns(rotation.forwards(m), () => (m === 1 ? read : peak).sample())
    const bound =
      m === 1
        ? boundSpeed('GB/s', bytes, rounds, read.name)
        : boundSpeed('GOPS', operations, rounds, peak.name)
    yield {
      name: `${prefix} M=${m}`,
      unit: 'us',
      measured: summarizeCalls(rounds),
      speeds: [bound],
    }
    const x = randomRows(pool, m, shape.k)
    const out = pool.tensor('float32', [m, shape.n])
    const cached = timeSync(() => linear.forwardSync(x, { out }), { millis: 500, calls: 20 })
    const amount = m === 1 ? bytes : operations
    yield {
      name: `${prefix} M=${m} cached`,
      unit: 'us',
      measured: summarize(cached),
      speeds: [speed(m === 1 ? 'GB/s' : 'GOPS', amount, [{ micros: cached, bound: 0 }])],
    }
  }
}

/** Yields PyTorch's lines, from a process of its own; none where there is no PyTorch. */
async function* torch(threads: number, { k, n }: Shape): AsyncGenerator<Line> {
  const args = [`${root}bench/torch_linear.py`, threads, k, n, ROTATION_BYTES].map(String)
  const env = { ...process.env, OMP_NUM_THREADS: String(threads) }
  const run = await promisify(execFile)('python3', args, { env, maxBuffer: 1 << 26 }).catch(
    () => undefined,
  )
  if (run === undefined) return
  const results = JSON.parse(run.stdout) as Record<string, number[]>
  for (const [name, micros] of Object.entries(results)) {
    const m = Number(/M=(\d+)/.exec(name)?.[1])
    const [unit, amount] = m === 1 ? (['GB/s', k * n] as const) : (['GOPS', 2 * m * k * n] as const)
    yield {
      name: `${threads} threads, ${name}`,
      unit: 'us',
      measured: summarize(micros),
      speeds: [speed(unit, amount, [{ micros, bound: 0 }])],
    }
  }
}

import { Pool } from '../../src/index.js'
import { emptyProgram } from '../../src/measure/region.js'
import { summarize, timeSync } from '../../src/measure/samples.js'
import { MAX_WORKERS } from '../../src/native/layout.js'
import { dotpoolRunner } from '../dotpool.js'
import { timeByTurns } from '../rounds.js'
import { shapes } from '../runner.js'
import { boundSpeed, rate, summarizeCalls } from '../speed.js'
import type { Suite } from '../suite.js'

/** Threads for each thread of the usual pool. */
const FACTOR = 4

export const oversubscribed: Suite = {
  name: 'oversubscribed',
  title: `${FACTOR} times as many threads, so that each waits for a core, against the usual pool`,
  async *run({ pool }) {
    await using large = await Pool.create({ threads: Math.min(FACTOR * pool.threads, MAX_WORKERS) })
    const shape = shapes[2]
    const { k, n } = shape
    const rotation = await dotpoolRunner(large).rotation(shape)
    const usualRotation = await dotpoolRunner(pool).rotation(shape)
    for (const m of [1, 128]) {
      const operations = 2 * m * n * k
      const usual = usualRotation.forwards(m)
      const rounds = timeByTurns(rotation.forwards(m), () => {
        const { median } = summarize(timeSync(usual, { millis: 25, calls: 2 }))
        return rate(operations, median)
      })
      yield {
        name: `${large.threads} threads, K=${k} N=${n} M=${m}`,
        unit: 'us',
        measured: summarizeCalls(rounds),
        speeds: [boundSpeed('GOPS', operations, rounds, 'usual')],
      }
    }
    const micros = timeSync(() => large.runSync(emptyProgram), { millis: 500, calls: 1000 })
    yield {
      name: `${large.threads} threads, empty program, sync`,
      unit: 'us',
      measured: summarize(micros),
    }
  },
}

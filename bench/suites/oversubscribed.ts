import { emptyProgram } from '../../src/cli/measure/region.js'
import { summarize, timeSync } from '../../src/cli/measure/samples.js'
import { Pool } from '../../src/index.js'
import { MAX_WORKERS } from '../../src/native/layout.js'
import { dotpoolRunner } from '../dotpool.js'
import { timeByTurns } from '../rounds.js'
import { shapes } from '../runner.js'
import { boundSpeed, rate, summarizeCalls } from '../speed.js'
import type { Suite } from '../suite.js'

/** Threads for one of the usual pool. */
const CROWD = 4

export const oversubscribed: Suite = {
  name: 'oversubscribed',
  title: `${CROWD} times as many threads, so that each waits for a core, against the usual pool`,
  async *run({ pool }) {
    await using crowd = await Pool.create({ threads: Math.min(CROWD * pool.threads, MAX_WORKERS) })
    const shape = shapes[2]
    const { k, n } = shape
    const crowded = await dotpoolRunner(crowd).rotation(shape)
    const usual = await dotpoolRunner(pool).rotation(shape)
    for (const m of [1, 128]) {
      const operations = 2 * m * n * k
      const usually = usual.forwards(m)
      const rounds = timeByTurns(crowded.forwards(m), () => {
        const { median } = summarize(timeSync(usually, { millis: 25, calls: 2 }))
        return rate(operations, median)
      })
      yield {
        name: `${crowd.threads} threads, K=${k} N=${n} M=${m}`,
        unit: 'us',
        measured: summarizeCalls(rounds),
        speeds: [boundSpeed('GOPS', operations, rounds, 'usual')],
      }
    }
    const calls = timeSync(() => crowd.runSync(emptyProgram), { millis: 500, calls: 1000 })
    yield {
      name: `${crowd.threads} threads, empty program, sync`,
      unit: 'us',
      measured: summarize(calls),
    }
  },
}

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { type Summary, summarize, timeSync } from '../../src/measure/samples.js'
import { randomLinear, randomRows } from '../dotpool.js'
import type { Suite } from '../suite.js'

/** Large, so that the rows of a long forward take little memory. */
const SIZE = 8192
const FORWARDS = 5
/** Target duration in milliseconds; none takes less than 200. */
const FORWARD_MILLIS = 350
/** Rows of the trial call that estimates the time per row. */
const PROBE_ROWS = 256

export const eventLoop: Suite = {
  name: 'eventloop',
  title: 'how late timers come while a long forward runs, its input and output in shared memory',
  async *run({ pool }) {
    yield {
      name: 'delay, idle pool',
      unit: 'us',
      measured: await delays(() => setTimeout(FORWARDS * FORWARD_MILLIS)),
    }
    using linear = await randomLinear(pool, { k: SIZE, n: SIZE })
    const probe = randomRows(pool, PROBE_ROWS, SIZE)
    const { median } = summarize(
      timeSync(() => linear.forwardSync(probe), { millis: 0, calls: FORWARDS }),
    )
    const rows = Math.ceil((FORWARD_MILLIS * 1000 * PROBE_ROWS) / median)
    const x = randomRows(pool, rows, SIZE)
    const out = pool.tensor('float32', [rows, SIZE])
    const micros: number[] = []
    const measured = await delays(async () => {
      for (let i = 0; i < FORWARDS; i++) {
        const start = performance.now()
        await linear.forward(x, { out })
        micros.push((performance.now() - start) * 1000)
      }
    })
    const what = `K=${SIZE} N=${SIZE} M=${rows}`
    yield { name: `forward ${what}`, unit: 'us', measured: summarize(micros) }
    yield { name: 'delay, during it', unit: 'us', measured }
  },
}

/** Delays of a timer of 1 ms while `work` runs. */
export async function delays(work: () => Promise<unknown>): Promise<Summary> {
  const resolution = 1
  const histogram = monitorEventLoopDelay({ resolution })
  histogram.enable()
  await work()
  histogram.disable()
  const micros = (nanos: number) => Math.max(0, nanos / 1000 - resolution * 1000)
  return {
    samples: histogram.count,
    min: micros(histogram.min),
    median: micros(histogram.percentile(50)),
    p99: micros(histogram.percentile(99)),
    max: micros(histogram.max),
  }
}

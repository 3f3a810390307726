import { delays } from '../../dist/bench/suites/event-loop.js'
import type { Rooflines } from '../../dist/src/measure/rooflines.js'
import { type Summary, summarize, timeAsync } from '../../dist/src/measure/samples.js'
import type { Contender } from './contender.js'
import { randomRows } from './measure.js'

/** The effect of a long call on the event loop of the thread that awaits it. */
export interface Blocking {
  name: string
  /** Durations of the calls, microseconds. */
  micros: Summary
  /** Delays of a timer of 1 ms meanwhile, microseconds. */
  delay: Summary
}

/** Large, so that the rows of a long call take little memory. */
const SHAPE = { k: 8192, n: 8192 }
/** Duration of a call at the multiply rate. */
const SECONDS = 0.3
const BUDGET = { millis: 0, calls: 5 }

/** Measures how late timers are while long calls of a contender are awaited. */
export async function* watchEventLoop(
  contenders: readonly Contender[],
  rooflines: Rooflines,
): AsyncGenerator<Blocking> {
  const { k, n } = SHAPE
  const operations = rooflines.peak.sample() * 1e9 * SECONDS
  const x = randomRows(Math.ceil(operations / (2 * k * n)), k)
  for (const contender of contenders) {
    const call = await contender.awaited?.(SHAPE, x)
    if (call === undefined) continue
    let micros: number[] = []
    const delay = await delays(async () => {
      micros = await timeAsync(call.run, BUDGET)
    })
    yield { name: call.name, micros: summarize(micros), delay }
  }
}

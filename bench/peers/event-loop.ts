import { delays } from '../../dist/bench/suites/event-loop.js'
import type { Rooflines } from '../../dist/src/measure/rooflines.js'
import { type Summary, summarize, timeAsync } from '../../dist/src/measure/samples.js'
import type { Contender } from './contender.js'
import { randomRows } from './measure.js'

/** What a long call does to the event loop of the thread that awaits it. */
export interface Blocking {
  name: string
  /** Durations of the calls, microseconds. */
  micros: Summary
  /** How late a timer of 1 ms came meanwhile, microseconds. */
  delay: Summary
}

/** Large, so that the rows of a long call take little memory. */
const SHAPE = { k: 8192, n: 8192 }
/** Of a call at the multiply rate. */
const SECONDS = 0.3
const BUDGET = { millis: 0, calls: 5 }

/** Measures how late timers are while a contender is busy with long calls that are awaited. */
export async function* watchEventLoop(
  contenders: readonly Contender[],
  rooflines: Rooflines,
): AsyncGenerator<Blocking> {
  const { k, n } = SHAPE
  const operations = rooflines.peak.look() * 1e9 * SECONDS
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

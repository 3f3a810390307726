import { setTimeout } from 'node:timers/promises'
import { emptyProgram } from '../../src/measure/region.js'
import { summarize } from '../../src/measure/samples.js'
import type { Suite } from '../suite.js'

const WINDOWS = 5
const WINDOW_MILLIS = 300
/** Workers spin for microseconds after a call; that time belongs to the call, not to the idle pool. */
const AFTER_CALL_MILLIS = 10

export const idle: Suite = {
  name: 'idle',
  title: `CPU time of the process from ${AFTER_CALL_MILLIS} ms after a call, of one core's time`,
  async *run({ pool }) {
    const shares: number[] = []
    for (let i = 0; i < WINDOWS; i++) {
      await pool.run(emptyProgram)
      await setTimeout(AFTER_CALL_MILLIS)
      const [start, usage] = [performance.now(), process.cpuUsage()]
      await setTimeout(WINDOW_MILLIS)
      const { user, system } = process.cpuUsage(usage)
      shares.push((user + system) / (performance.now() - start) / 10)
    }
    yield { name: `idle for ${WINDOW_MILLIS} ms`, unit: '%', measured: summarize(shares) }
  },
}

import { emptyProgram, meetingProgram, timeMeetings } from '../../src/measure/region.js'
import { summarize, timeAsync, timeSync } from '../../src/measure/samples.js'
import type { Suite } from '../suite.js'

const BUDGET = { millis: 500, calls: 1000 }

export const region: Suite = {
  name: 'region',
  title: 'what a region costs by itself, from JavaScript, all threads awake',
  async *run({ pool }) {
    const met = await timeMeetings(pool, BUDGET)
    yield { name: 'all threads meet, sync', unit: 'us', measured: summarize(met) }
    const metLater = await timeAsync(() => pool.run(meetingProgram), BUDGET)
    yield { name: 'all threads meet, async', unit: 'us', measured: summarize(metLater) }
    const sync = timeSync(() => pool.runSync(emptyProgram), BUDGET)
    yield { name: 'empty program, sync', unit: 'us', measured: summarize(sync) }
    const async = await timeAsync(() => pool.run(emptyProgram), BUDGET)
    yield { name: 'empty program, async', unit: 'us', measured: summarize(async) }
  },
}

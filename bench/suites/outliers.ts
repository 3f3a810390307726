import { defaultOutliers } from '../../src/model/decoder/model-linear.js'
import { randomLinears, randomRows } from '../dotpool.js'
import { timeAllByTurns } from '../rounds.js'
import { shapes } from '../runner.js'
import { summarizeCalls, timesOf } from '../speed.js'
import type { Suite } from '../suite.js'

/** More large elements in every row than are kept exact, so that all outlier slots are used. */
const LARGE_ELEMENTS = 16
const LARGE = 50

export const outliers: Suite = {
  name: 'outliers',
  title: 'time with as many outliers of each row kept exact as models keep, for that without',
  async *run({ pool, rooflines: { read } }) {
    for (const shape of shapes) {
      const kinds = [
        await randomLinears(pool, shape),
        await randomLinears(pool, shape, defaultOutliers(shape.k)),
      ]
      for (const m of [1, 8, 32, 512]) {
        const x = randomRows(pool, m, shape.k)
        for (let i = 0; i < m * LARGE_ELEMENTS; i++) {
          const k = Math.floor(Math.random() * shape.k)
          x.data[(i % m) * shape.k + k] = LARGE * 127
        }
        const out = pool.tensor('float32', [m, shape.n])
        let turn = 0
        const calls = kinds.map((linears) => () => {
          turn++
          return linears[turn % linears.length].forwardSync(x, { out })
        })
        const [without, kept] = timeAllByTurns(calls, () => read.sample())
        const name = `K=${shape.k} N=${shape.n} M=${m}`
        yield { name: `${name} without`, unit: 'us', measured: summarizeCalls(without) }
        yield { name: `${name} kept`, unit: 'x', measured: timesOf(kept, without) }
      }
    }
  },
}

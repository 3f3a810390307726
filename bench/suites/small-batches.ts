import { timeAllByTurns } from '../rounds.js'
import { shapes } from '../runner.js'
import { boundSpeed, summarizeCalls, timesOf } from '../speed.js'
import type { Suite } from '../suite.js'

const ROW_COUNTS = [1, 2, 4, 8, 16]

export const smallBatches: Suite = {
  name: 'batches',
  title: 'a few rows: time for that of one row, while reading the weights is what takes it',
  async *run({ runners, rooflines: { read } }) {
    for (const runner of runners) {
      for (const shape of shapes) {
        const rotation = await runner.rotation(shape)
        const calls = ROW_COUNTS.map((m) => rotation.forwards(m))
        const all = timeAllByTurns(calls, () => read.sample())
        const [one] = all
        for (const [i, rounds] of all.entries()) {
          yield {
            name: `${runner.name} K=${shape.k} N=${shape.n} M=${ROW_COUNTS[i]}`,
            ...(rounds === one
              ? { unit: 'us', measured: summarizeCalls(rounds) }
              : { unit: 'x', measured: timesOf(rounds, one) }),
            speeds: [boundSpeed('GB/s', rotation.layerBytes, rounds, read.name)],
          }
        }
      }
    }
  },
}

import { timeByTurns } from '../rounds.js'
import { shapes } from '../runner.js'
import { boundSpeed, summarizeCalls } from '../speed.js'
import type { Suite } from '../suite.js'

export const gemm: Suite = {
  name: 'gemm',
  title: 'many rows: weights that no cache holds, against the multiply rate',
  async *run({ runners, rooflines: { peak } }) {
    for (const runner of runners) {
      for (const shape of shapes) {
        const { k, n } = shape
        const rotation = await runner.rotation(shape)
        for (const m of [32, 128, 512]) {
          const rounds = timeByTurns(rotation.forwards(m), () => peak.sample())
          yield {
            name: `${runner.name} K=${k} N=${n} M=${m}`,
            unit: 'us',
            measured: summarizeCalls(rounds),
            speeds: [boundSpeed('GOPS', 2 * m * n * k, rounds, peak.name)],
          }
        }
      }
    }
  },
}

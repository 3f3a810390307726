import { timeByTurns } from '../rounds.js'
import { shapes } from '../runner.js'
import { boundSpeed, speed, summarizeCalls } from '../speed.js'
import type { Line, Suite } from '../suite.js'

/** Shapes that are also called with ordinary arrays, whose copies count as part of the call. */
const plainShapes = [shapes[2], shapes[3]]

export const gemv: Suite = {
  name: 'gemv',
  title: 'few rows: weights that no cache holds, against the read bandwidth',
  async *run({ runners, rooflines: { read } }) {
    for (const runner of runners) {
      for (const shape of shapes) {
        const { k, n } = shape
        const rotation = await runner.rotation(shape)
        const line = (m: number, what: string, call: () => unknown): Line => {
          const rounds = timeByTurns(call, () => read.sample())
          return {
            name: `${runner.name} K=${k} N=${n} M=${m}${what}`,
            unit: 'us',
            measured: summarizeCalls(rounds),
            speeds: [
              boundSpeed('GB/s', rotation.layerBytes, rounds, read.name),
              speed('GOPS', 2 * m * n * k, rounds),
            ],
          }
        }
        for (const m of [1, 4]) yield line(m, '', rotation.forwards(m))
        if (plainShapes.includes(shape)) yield line(1, ' plain', rotation.plainForwards())
      }
    }
  },
}

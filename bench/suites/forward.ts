import { emptyProgram } from '../../src/measure/region.js'
import { summarize, timeAsync, timeSync } from '../../src/measure/samples.js'
import { randomLinear, randomRows } from '../dotpool.js'
import type { Suite } from '../suite.js'

const BUDGET = { millis: 500, calls: 1000 }
const SIZE = 512

export const forward: Suite = {
  name: 'forward',
  title: `a small layer from JavaScript, ${SIZE} x ${SIZE}, M=1: what is there besides the region`,
  async *run({ pool }) {
    using linear = await randomLinear(pool, { k: SIZE, n: SIZE })
    const x = randomRows(pool, 1, SIZE)
    const out = pool.tensor('float32', [1, SIZE])
    const plain = Float32Array.from(x.data)
    const async = {
      'empty program': () => pool.run(emptyProgram),
      forward: () => linear.forward(x, { out }),
      'forward, plain arrays': () => linear.forward(plain),
    }
    for (const [name, call] of Object.entries(async)) {
      yield { name, unit: 'us', measured: summarize(await timeAsync(call, BUDGET)) }
    }
    const sync = {
      'empty program, sync': () => pool.runSync(emptyProgram),
      forwardSync: () => linear.forwardSync(x, { out }),
    }
    for (const [name, call] of Object.entries(sync)) {
      yield { name, unit: 'us', measured: summarize(timeSync(call, BUDGET)) }
    }
  },
}

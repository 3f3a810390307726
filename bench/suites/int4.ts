import { randomFillSync } from 'node:crypto'
import { Linear, type Pool } from '../../src/index.js'
import { int4Strides } from '../../src/reference/int4.js'
import { randomLinears, randomRows } from '../dotpool.js'
import { type Round, timeAllByTurns } from '../rounds.js'
import { type Shape, shapes } from '../runner.js'
import { boundSpeed, speed, summarizeCalls, timesOf } from '../speed.js'
import type { Suite } from '../suite.js'

const shape = shapes[2]

/** Up to here reading the weights is the bound. */
const FEW_ROWS = 16

export const int4: Suite = {
  name: 'int4',
  title: `weights of four bits beside int8 ones, by turns; K=${shape.k} N=${shape.n}`,
  async *run({ pool, rooflines: { read, peak } }) {
    const { k, n } = shape
    const eight = await randomLinears(pool, shape)
    const kinds = { int8: eight, int4: await randomInt4Linears(pool, shape, eight.length) }
    for (const m of [1, 4, 16, 512]) {
      const x = randomRows(pool, m, k)
      const out = pool.tensor('float32', [m, n])
      let turn = 0
      const calls = Object.values(kinds).map((linears) => () => {
        turn++
        return linears[turn % linears.length].forwardSync(x, { out })
      })
      const bound = m <= FEW_ROWS ? read : peak
      const rounds = timeAllByTurns(calls, () => bound.sample())
      for (const [i, [name, [{ tiles }]]] of Object.entries(kinds).entries()) {
        const amount = (unit: 'GB/s' | 'GOPS', of: Round[]) =>
          unit === bound.unit
            ? boundSpeed(unit, unit === 'GB/s' ? tiles.byteLength : 2 * m * n * k, of, bound.name)
            : speed(unit, unit === 'GB/s' ? tiles.byteLength : 2 * m * n * k, of)
        const speeds = [amount('GB/s', rounds[i]), amount('GOPS', rounds[i])]
        yield { name: `${name} M=${m}`, unit: 'us', measured: summarizeCalls(rounds[i]), speeds }
      }
      const [whole, half] = rounds
      yield { name: `int4 for int8 M=${m}`, unit: 'x', measured: timesOf(half, whole) }
    }
  },
}

async function randomInt4Linears(pool: Pool, { k, n }: Shape, count: number): Promise<Linear[]> {
  const stride = int4Strides(k)
  const nibbles = randomFillSync(new Uint8Array(n * stride.nibbles))
  const random = randomFillSync(new Uint8Array(n * stride.multipliers))
  const multipliers = Int8Array.from(random, (byte) => 1 + (byte & 15))
  const options = { inFeatures: k, outFeatures: n }
  const linears: Linear[] = []
  while (linears.length < count) {
    linears.push(await Linear.fromInt4(pool, { nibbles, multipliers }, 1 / 127, options))
  }
  return linears
}

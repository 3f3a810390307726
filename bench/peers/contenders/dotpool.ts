import type { Bits } from '../../../dist/bench/models/bits.js'
import { toNibbles } from '../../../dist/bench/models/nibbles.js'
import type { Shape } from '../../../dist/bench/runner.js'
import { Linear, type Pool, type Tensor } from '../../../dist/src/index.js'
import { timeAsync, timeSync } from '../../../dist/src/measure/samples.js'
import { INT4_GROUP } from '../../../dist/src/reference/int4.js'
import { version } from '../../../dist/src/version.js'
import { BUDGET, type Contender, WEIGHT_SCALE } from '../contender.js'
import { inTurns, rotationLength, rotationWeights } from '../rotation.js'

/** This library: blocking the main thread, and leaving its event loop free, one call at a time. */
export function dotpool(pool: Pool, bits: Bits): Contender {
  const linearOf = (weight: Int8Array, { k, n }: Shape) => {
    const shape = { inFeatures: k, outFeatures: n }
    if (bits === 8) return Linear.fromInt8(pool, weight, WEIGHT_SCALE, shape)
    const multipliers = new Int8Array(n * Math.ceil(k / INT4_GROUP)).fill(1)
    return Linear.fromInt4(pool, { nibbles: toNibbles(weight), multipliers }, WEIGHT_SCALE, shape)
  }
  const sharedRows = (rows: Float32Array, k: number): Tensor<'float32'> => {
    const x = pool.tensor('float32', [rows.length / k, k])
    x.data.set(rows)
    return x
  }
  return {
    name: 'dotpool',
    version,
    load: async (shape, first) => {
      const { k, n } = shape
      const linears: Linear[] = []
      for (const weight of rotationWeights(first, rotationLength(shape, bits), bits)) {
        linears.push(await linearOf(weight, shape))
      }
      const next = inTurns(linears)
      return {
        take: async (rows) => {
          const x = sharedRows(rows, k)
          const out = pool.tensor('float32', [rows.length / k, n])
          const lastRow = async () => linears[0].forwardSync(x).data.slice(-n)
          return [
            {
              name: 'dotpool, forwardSync',
              sample: async () => timeSync(() => next().forwardSync(x, { out }), BUDGET),
              lastRow,
            },
            {
              name: 'dotpool, await forward',
              sample: () => timeAsync(() => next().forward(x, { out }), BUDGET),
              lastRow,
            },
          ]
        },
        close: async () => {
          for (const linear of linears) linear.dispose()
        },
      }
    },
    awaited: async (shape, rows) => {
      const linear = await linearOf(new Int8Array(shape.n * shape.k).fill(1), shape)
      const x = sharedRows(rows, shape.k)
      const out = pool.tensor('float32', [rows.length / shape.k, shape.n])
      return { name: 'dotpool, await forward', run: () => linear.forward(x, { out }) }
    },
  }
}

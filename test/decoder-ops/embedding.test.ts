import { bf16ToFloat32, type Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BAD_ROW, OpKind, RowLayout } from '#src/native/layout.js'
import { DenseWeight } from '#src/ops/dense-weight.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { anyRows, runOp, shareWords, toBf16 } from './support.js'

const shapes = fc.record({
  m: fc.integer({ min: 1, max: 20 }),
  n: fc.integer({ min: 1, max: 30 }),
  k: fc.integer({ min: 1, max: 70 }),
  type: fc.constantFrom('float32', 'bfloat16'),
  seed: fc.integer(),
})

describe.each(isas)('an embedding on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('widens the rows of the tokens', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ m, n, k, type, seed }) => {
        const random = randomNumbers(seed)
        const floats = anyRows(n, k, random)
        const values = type === 'float32' ? floats : toBf16(floats)
        const weight = new DenseWeight(pool, type, n, k)
        weight.set(0, values)
        const ids = Array.from({ length: m }, () => Math.floor(random() * n))
        const rows = shareWords(
          pool,
          ids.flatMap((id) => [id, ...new Array(RowLayout.words - 1).fill(9)]),
        )
        const y = pool.memory.array('float32', m * k)
        await runOp(pool, { kind: OpKind.embed, m, rows, picks: null, weight, y })
        const wide = values instanceof Float32Array ? values : bf16ToFloat32(values)
        const expected = new Float32Array(m * k)
        ids.forEach((id, i) => {
          expected.set(wide.subarray(id * k, (id + 1) * k), i * k)
        })
        expectSameBits(y, expected)
      }),
      { numRuns: isa === 'typescript' ? 10 : 40 },
    )
  })

  it('names a row whose token has no embedding', async () => {
    const [n, k] = [3, 5]
    const weight = new DenseWeight(pool, 'float32', n, k)
    for (const id of [n, 0xffffffff]) {
      const rows = shareWords(pool, [2, 0, 0, 0, id, 0, 0, 0])
      const y = pool.memory.array('float32', 2 * k)
      const op = { kind: OpKind.embed, m: 2, rows, picks: null, weight, y }
      expect(await runOp(pool, op)).toBe(BAD_ROW + 1)
    }
  })
})

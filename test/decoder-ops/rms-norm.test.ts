import type { Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BAD_ROW, OpKind } from '#src/native/layout.js'
import type { NormOp } from '#src/native/op.js'
import { rmsNormShare } from '#src/reference/rms-norm.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { anyRows, runOp, share, shareWords, whole } from './support.js'

const shapes = fc.record({
  total: fc.integer({ min: 1, max: 20 }),
  k: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 300 })),
  adds: fc.boolean(),
  picks: fc.boolean(),
  seed: fc.integer(),
})

type NormSizes = Pick<NormOp, 'm' | 'n' | 'k' | 'x' | 'scale' | 'eps'>

/** The rest is none. */
function normOp(given: NormSizes & Partial<NormOp>): NormOp {
  const none = { u: null, rows: null, y: null, xq: null, xScale: null, outliers: 0 }
  return { kind: OpKind.norm, ...none, ...given }
}

describe.each(isas)('a norm on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 3 })
  })
  afterAll(async () => await pool.close())

  it('matches the reference bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ total, k, adds, picks, seed }) => {
        const random = randomNumbers(seed)
        const [x, u] = [anyRows(total, k, random), anyRows(total, k, random)]
        const weight = share(pool, anyRows(1, k, random))
        const m = picks ? 1 + Math.floor(random() * total) : total
        // the last rows, from the end
        const rows = picks
          ? shareWords(
              pool,
              Array.from({ length: m }, (_, i) => total - 1 - i),
            )
          : undefined
        const eps = Math.fround(1e-6)
        const task = {
          x: share(pool, x),
          u: adds ? share(pool, u) : undefined,
          rows,
          weight,
          eps,
          y: pool.memory.array('float32', m * k),
        }
        const expected = { ...task, x: x.slice(), y: new Float32Array(m * k) }
        rmsNormShare({ ...expected, ...whole })

        const places = { x: task.x, u: task.u ?? null, rows: rows ?? null, y: task.y }
        await runOp(pool, normOp({ m, n: total, k, scale: weight, eps, ...places }))
        expectSameBits(task.y, expected.y)
        expectSameBits(task.x, expected.x, 'x:')
      }),
      { numRuns: isa === 'typescript' ? 10 : 60 },
    )
  })

  it('quantises as the op that does only that', async () => {
    const [m, k] = [7, 45]
    const stride = pool.rowStride(k)
    const random = randomNumbers(3)
    const x = share(pool, anyRows(m, k, random))
    const scale = share(pool, new Float32Array(k).map(random))
    const y = pool.memory.array('float32', m * k)
    const [xq, xqOfY] = [pool.memory.bytes(m * stride), pool.memory.bytes(m * stride)]
    const [xScale, xScaleOfY] = [pool.memory.array('float32', m), pool.memory.array('float32', m)]
    const norm = { m, n: m, k, x, scale, eps: 1e-5 }
    const rows = { type: 'float32', u: null, activation: 'none', k, outliers: 0 } as const
    await pool.run({
      ops: () => [
        normOp({ ...norm, xq, xScale }),
        normOp({ ...norm, y }),
        { kind: OpKind.quantize, m, ...rows, x: y, xq: xqOfY, xScale: xScaleOfY },
      ],
    })
    expectSameBits(xScale, xScaleOfY)
    const bytesUsed = Math.ceil(k / 4) * 4
    for (let i = 0; i < m; i++) {
      const [from, to] = [i * stride, i * stride + bytesUsed]
      expect(xq.slice(from, to)).toEqual(xqOfY.slice(from, to))
    }
  })

  it('names a row that is not there, and leaves it out', async () => {
    const [n, k] = [2, 4]
    const x = share(pool, new Float32Array(n * k).fill(1))
    const y = pool.memory.array('float32', 2 * k)
    const rows = shareWords(pool, [1, n])
    const fault = await runOp(pool, normOp({ m: 2, n, k, rows, x, scale: x, y, eps: 0 }))
    expect(fault).toBe(BAD_ROW + 1)
    expect([...y]).toEqual([1, 1, 1, 1, 0, 0, 0, 0])
  })

  it('scales rows to a root mean square of 1', async () => {
    const [m, k] = [3, 1000]
    const random = randomNumbers(5)
    const x = share(
      pool,
      new Float32Array(m * k).map(() => random() * 8 - 4),
    )
    const weight = share(pool, new Float32Array(k).fill(1))
    const y = pool.memory.array('float32', m * k)
    await runOp(pool, normOp({ m, n: m, k, x, scale: weight, eps: 0, y }))
    for (let i = 0; i < m; i++) {
      const squares = y.subarray(i * k, (i + 1) * k).reduce((sum, v) => sum + v * v, 0)
      expect(Math.sqrt(squares / k)).toBeCloseTo(1, 5)
    }
  })
})

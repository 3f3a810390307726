import type { Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { headBytes, pageBytes } from '#src/layouts/kv-page.js'
import { BAD_ROW } from '#src/native/layout.js'
import { attendShare } from '#src/reference/attention.js'
import { PageHead } from '#src/reference/page-head.js'
import { rotateShare } from '#src/reference/rotate.js'
import { sum16 } from '#src/reference/sum16.js'
import {
  type AttentionCase,
  attentionProgram,
  attentionShapes,
  makeAttentionCase,
} from './support/attention.js'
import { createPool, isas } from './support/isas.js'
import { expectSameBits } from './support/reference.js'

const whole = { part: 0, parts: 1 }

function expectSame(got: AttentionCase, expected: AttentionCase, what: string): void {
  expectSameBits(got.q, expected.q, `${what} q`)
  expectSameBits(got.out, expected.out, `${what} out`)
  const differing = got.rows.findIndex(({ pages }, m) =>
    pages.some((page, i) => Buffer.compare(page, expected.rows[m].pages[i]) !== 0),
  )
  expect(differing, `${what}: row whose pages differ`).toBe(-1)
}

describe.each(isas)('attention on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('matches the reference bit for bit, whole and split', async () => {
    await fc.assert(
      fc.asyncProperty(attentionShapes, async (shape) => {
        const expected = makeAttentionCase(pool, shape)
        rotateShare({ ...expected, ...whole })
        attendShare({ ...expected, ...whole })
        for (const split of [false, true]) {
          const task = makeAttentionCase(pool, shape)
          await pool.run(attentionProgram(pool, task, split))
          expectSame(task, expected, split ? 'split' : 'whole')
        }
      }),
      { numRuns: isa === 'typescript' ? 6 : 25 },
    )
  })

  it('names a row whose position has no rotation or no page', async () => {
    const task = makeAttentionCase(pool, {
      ...{ kvHeads: 2, group: 2, half: 8, window: 0, cacheType: 'float32', normed: false, seed: 1 },
      sequences: [{ before: 0, count: 3 }],
    })
    const [first, row, last] = task.rows
    for (const wrong of [
      { ...row, position: 3 },
      { ...row, pages: [] },
    ]) {
      const program = attentionProgram(pool, { ...task, rows: [first, wrong, last] }, false)
      expect(await pool.run(program)).toBe(BAD_ROW + 1)
    }
  })
})

describe('attendShare', () => {
  const geometry = {
    ...{ queryHeads: 1, kvHeads: 1, headDim: 2, window: 0, pageOffset: 0 },
    ...{ cacheType: 'float32' as const, eps: 0, scale: 1 },
  }
  /** Keys and values as pairs. */
  const rowOver = (keys: number[][], values: number[][]) => {
    const pages = [new Uint8Array(pageBytes('float32', 2, 1, 1)).fill(0xff)]
    const head = new PageHead(pages[0], 0, 'float32', 2)
    for (const [i, key] of keys.entries()) {
      head.store(i, Float32Array.from(key), Float32Array.from(values[i]))
    }
    return { position: keys.length - 1, pages }
  }

  it('weighs values by the softmax of the products', () => {
    // weights 1/4 and 3/4
    const row = rowOver([[0, 0], [Math.log(3), 0]], [[1, 2], [5, 6]]) // biome-ignore format: pairs
    const out = new Float32Array(2)
    attendShare({ geometry, rows: [row], q: Float32Array.of(1, 1), out, ...whole })
    expect(out[0]).toBeCloseTo(4, 6)
    expect(out[1]).toBeCloseTo(5, 6)
    attendShare({
      geometry: { ...geometry, window: 1 },
      rows: [row],
      q: Float32Array.of(1, 1),
      out,
      ...whole,
    })
    expect([...out]).toEqual([5, 6])
  })

  it('survives products that overflow e^x', () => {
    const row = rowOver([[1000, 0], [-1000, 0]], [[2, 3], [4, 5]]) // biome-ignore format: pairs
    const out = new Float32Array(2)
    attendShare({ geometry, rows: [row], q: Float32Array.of(1000, 0), out, ...whole })
    expect([...out]).toEqual([2, 3])
  })
})

describe('rotateShare', () => {
  it('normalises, rotates and scales queries; it does not scale keys', () => {
    const geometry = {
      ...{ queryHeads: 1, kvHeads: 1, headDim: 2, window: 0, pageOffset: 0 },
      ...{ cacheType: 'float32' as const, eps: 0, scale: 10 },
    }
    const pages = [new Uint8Array(pageBytes('float32', 2, 1, 1))]
    // root mean square 5; a quarter turn at position 1
    const [q, k] = [Float32Array.of(7, 1), Float32Array.of(7, 1)]
    const norm = Float32Array.of(1, 2)
    const rotation = Float32Array.of(1, 0, 0, 1)
    const rows = [{ position: 1, pages }]
    const v = Float32Array.of(8, 9)
    rotateShare({ geometry, rows, q, k, v, qNorm: norm, kNorm: norm, rotation, ...whole })
    expect(q[0]).toBeCloseTo(-4, 5)
    expect(q[1]).toBeCloseTo(14, 5)
    const head = new PageHead(pages[0], 0, 'float32', 2)
    expect(head.key(1, 0)).toBeCloseTo(-0.4, 6)
    expect(head.key(1, 1)).toBeCloseTo(1.4, 6)
    expect([head.value(1, 0), head.value(1, 1)]).toEqual([8, 9])
  })
})

describe('a KV page', () => {
  it('keeps elements apart, and returns what was stored', () => {
    const D = 6
    const page = new Uint8Array(2 * headBytes('bfloat16', D))
    const heads = [0, 1].map((g) => new PageHead(page, g * headBytes('bfloat16', D), 'bfloat16', D))
    const code = (g: number, which: number, p: number, d: number) =>
      (((g * 2 + which) * 64 + p) * D + d) % 251
    const row = (g: number, which: number, p: number) =>
      Float32Array.from({ length: D }, (_, d) => code(g, which, p, d))
    for (const [g, head] of heads.entries()) {
      for (let p = 0; p < 64; p++) head.store(p, row(g, 0, p), row(g, 1, p))
    }
    for (const [g, head] of heads.entries()) {
      for (let p = 0; p < 64; p++) {
        for (let d = 0; d < D; d++) {
          expect(head.key(p, d)).toBe(code(g, 0, p, d))
          expect(head.value(p, d)).toBe(code(g, 1, p, d))
        }
      }
    }
  })

  it('stores a scale beside int8', () => {
    const head = new PageHead(new Uint8Array(headBytes('int8', 2)), 0, 'int8', 2)
    head.store(63, Float32Array.of(254, -127), Float32Array.of(1, Number.NaN))
    expect([head.key(63, 0), head.key(63, 1), head.keyScale(63)]).toEqual([127, -64, 2])
    expect([head.value(63, 0), head.valueScale(63)]).toEqual([0, Number.NaN])
  })
})

it('sum16 adds lanes in halves', () => {
  expect(sum16(Float32Array.of(1, 2, 3))).toBe(6)
  // 2^24 + 1 is lost, 1 + 1 in one lane is not
  const values = new Float32Array(33)
  values[0] = 2 ** 24
  values[16] = 1
  values[32] = 1
  expect(sum16(values)).toBe(2 ** 24)
  expect(sum16(values.reverse())).toBe(2 ** 24 + 2)
})

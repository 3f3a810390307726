import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Model } from '#src/model/model.js'
import { Linear } from '#src/ops/linear.js'
import { Pool } from '#src/pool/pool.js'
import { needLibrary } from '../support/isas.js'
import {
  fixture,
  loadFixture,
  logitsOf,
  qwen3Prompts,
  readFloats,
  readIds,
  readJson,
  relativeError,
  teacherForced,
} from './support.js'

needLibrary()

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const golden = readJson(join(fixture, 'golden.json'))
const valIds = readIds(join(fixture, 'val_ids.u16'))

const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length

/** The reference leaves the head in float; by default dotpool runs it in int8 as well. */
describe.each([
  ['with a float head', ['lm_head'], 42],
  ['as loaded by default', undefined, 43],
])('the W8A8 fixture %s', (_, skip, int8) => {
  let model: Model
  beforeAll(async () => {
    model = await loadFixture(pool, { skip })
  })
  afterAll(() => model.dispose())

  it('runs its Linears in int8', () => {
    const all = [...model.linears.values()]
    expect(all.length).toBe(6 * 7 + 1)
    expect(all.filter((linear) => linear instanceof Linear).length).toBe(int8)
    expect(String(model)).toMatch(/, dtype=int8, outliers=15\) on Pool/)
    expect(String(model.linears.get('model.layers.0.mlp.up_proj'))).toBe(
      'Linear(in_features=256, out_features=768, bias=false, dtype=int8, outliers=15)',
    )
  })

  it('matches the NLL of the W8A8 reference, and nearly that of float32', async () => {
    const { window, nll_w8a8, nll_fp32 } = readJson(join(fixture, 'val_windows.json'))
    const nll = await model.nll(valIds.subarray(0, nll_w8a8.length * window), { window })
    expect(Math.abs(nll / mean(nll_w8a8) - 1)).toBeLessThan(1e-3)
    expect(Math.abs(nll / mean(nll_fp32) - 1)).toBeLessThan(2e-3)
  })

  it('nearly matches the logits of the float32 reference', async () => {
    const logits = await teacherForced(model, qwen3Prompts()[0])
    const expected = readFloats(join(fixture, 'logits_prompt0.f32'))
    expect(relativeError(logits, expected)).toBeLessThan(0.02)
  })

  it("predicts the float32 reference's tokens as often as the W8A8 reference does", async () => {
    for (const [i, prompt] of qwen3Prompts().entries()) {
      const logits = await teacherForced(model, prompt)
      const agreed = prompt.greedyIds.filter((id, row) => {
        const mine = logits.subarray(row * 2048, (row + 1) * 2048)
        return mine.every((logit) => logit <= mine[id])
      })
      const expected = golden.prompts[i].w8a8_teacher_forced_agreement
      expect(agreed.length / 64).toBeGreaterThanOrEqual(expected - 2 / 64)
    }
  })
})

it('can be dequantised to float32 instead', async () => {
  using int8 = await loadFixture(pool)
  using float = await loadFixture(pool, { quantize: 'none' })
  const ids = qwen3Prompts()[0].promptIds
  expect(relativeError(await logitsOf(int8, ids), await logitsOf(float, ids))).toBeLessThan(0.02)
})

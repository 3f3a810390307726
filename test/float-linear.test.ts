import {
  ArgumentError,
  bf16ToFloat32,
  DisposedError,
  FloatLinear,
  float32ToBf16,
  Pool,
  Tensor,
} from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectSameBits } from './support/reference.js'

const shape = { inFeatures: 3, outFeatures: 2 }
const weight = Float32Array.of(1, 0.5, 0, 0, 0, -2)
const x = Float32Array.of(1, 2, 3, 4, 5, 6)

describe('a FloatLinear', () => {
  let pool: Pool
  beforeAll(async () => {
    pool = await Pool.create({ threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('multiplies by float32 weights as they are, and adds the bias', async () => {
    using linear = await FloatLinear.fromFloat(pool, weight, shape)
    expect([...(await linear.forward(x))]).toEqual([2, -6, 6.5, -12])
    const bias = Float32Array.of(10, 20)
    using biased = await FloatLinear.fromFloat(pool, weight, { ...shape, bias })
    expect([...(await biased.forward(x))]).toEqual([12, 14, 16.5, 8])
  })

  it('multiplies by bfloat16 weights as by the equal float32 weights', async () => {
    const bits = float32ToBf16(weight.map((value) => value / 3))
    const halves = new Tensor('bfloat16', bits, [2, 3])
    using linear = await FloatLinear.fromFloat(pool, halves, shape)
    using same = await FloatLinear.fromFloat(pool, bf16ToFloat32(bits), shape)
    expectSameBits(await linear.forward(x), await same.forward(x))
  })

  it('copies the weight, so that the caller can reuse its memory', async () => {
    const mine = weight.slice()
    const making = FloatLinear.fromFloat(pool, mine, shape)
    mine.fill(0)
    using linear = await making
    expect([...(await linear.forward(x))]).toEqual([2, -6, 6.5, -12])
  })

  it('names the argument that does not fit', async () => {
    await expect(FloatLinear.fromFloat(pool, weight.subarray(1), shape)).rejects.toEqual(
      new ArgumentError('weight', '2 * 3 elements', 'Float32Array(5)'),
    )
    await expect(FloatLinear.fromFloat(pool, weight, { ...shape, bias: x })).rejects.toEqual(
      new ArgumentError('bias', 'a Float32Array of 2 elements', 'Float32Array(6)'),
    )
  })

  it('throws a DisposedError after disposal', async () => {
    const linear = await FloatLinear.fromFloat(pool, weight, shape)
    linear.dispose()
    await expect(linear.forward(x)).rejects.toThrow(DisposedError)
  })
})

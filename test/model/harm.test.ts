import { type FloatLinear, Linear, NotANumberError, Pool, quantizeInt4 } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measureHarms } from '#src/model/calibration/harm.js'
import { Predictions } from '#src/model/calibration/predictions.js'
import type { Fork } from '#src/model/decoder/forks.js'
import { divergence } from '#src/model/evaluation/divergence.js'
import type { Model } from '#src/model/model.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { randomCheckpoint } from './random-checkpoint.js'
import { f32, loadMade, logitsOf } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const { config, tensors } = randomCheckpoint('LlamaForCausalLM')
const random = randomNumbers(8)
const tokens = Uint32Array.from({ length: 40 }, () => Math.floor(random() * 53))

/** One in four bits. */
async function toInt4({ weight, inFeatures, outFeatures }: FloatLinear): Promise<Linear> {
  const shape = { inFeatures, outFeatures }
  const floats = Float32Array.from(weight.read(0, outFeatures))
  const { weight: int4, scale } = quantizeInt4(floats, shape)
  return await Linear.fromInt4(weightPool, int4, scale, { ...shape, bias: weight.bias })
}

let weightPool: Pool

function floatsOf({ linears }: Model): Map<string, FloatLinear> {
  return new Map([...linears].map(([name, linear]) => [name, linear as FloatLinear]))
}

/** The logits of the model with one Linear exchanged, run from its beginning. */
async function logitsWith(model: Model, name: string, linear: Linear): Promise<Float32Array> {
  const own = model.decoder.exchangeLinear(name, linear)
  try {
    return await logitsOf(model, tokens)
  } finally {
    model.decoder.exchangeLinear(name, own)
  }
}

describe('a run with forks', () => {
  it.each(isas)('has the logits of a whole run, with any Linear exchanged, on %s', async (isa) => {
    await using own = await createPool(isa, { threads: 2 })
    weightPool = own
    using model = await loadMade(own, config, tensors)
    const expected = await logitsOf(model, tokens)
    const floats = floatsOf(model)
    const names: string[] = []
    await model.decoder.runForks(tokens, async ({ names: block, run }) => {
      expectSameBits((await run()).slice(), expected)
      for (const name of block) {
        names.push(name)
        using linear = await toInt4(floats.get(name) as FloatLinear)
        const logits = (await run({ name, linear })).slice()
        expectSameBits(logits, await logitsWith(model, name, linear), name)
      }
    })
    expect(names).toEqual([...floats.keys()])
    for (const [name, linear] of floats) expect(model.linears.get(name)).toBe(linear)
  })

  it('stops where it is aborted', async () => {
    using model = await loadMade(pool, config, tensors)
    const controller = new AbortController()
    const reason = new Error('enough')
    let blocks = 0
    const visit = async ({ run }: Fork) => {
      blocks++
      controller.abort(reason)
      await run()
    }
    const call = model.decoder.runForks(tokens, visit, controller.signal)
    await expect(call).rejects.toBe(reason)
    expect(blocks).toBe(1)
  })
})

describe('the harm of a Linear', () => {
  it('is the mean divergence of the whole model with it exchanged', async () => {
    using model = await loadMade(pool, config, tensors)
    weightPool = pool
    const floats = floatsOf(model)
    const expected = await logitsOf(model, tokens)
    const done: FloatLinear[] = []
    const onLinear = (linear: FloatLinear) => done.push(linear)
    const harms = await measureHarms(model, floats, toInt4, tokens, onLinear, undefined)
    expect([...harms.keys()]).toEqual([...floats.keys()])
    expect(done).toEqual([...floats.values()])
    for (const [name, float] of floats) {
      using linear = await toInt4(float)
      const logits = await logitsWith(model, name, linear)
      const rowOf = (matrix: Float32Array, row: number) => matrix.subarray(row * 53, (row + 1) * 53)
      const kls = tokens.subarray(0, 64).map(() => 0)
      const sum = [...kls.keys()].reduce(
        (sum, row) => sum + divergence(rowOf(logits, row), rowOf(expected, row)).kl,
        0,
      )
      const kl = sum / kls.length
      expect(harms.get(name), name).toBeGreaterThan(0.9 * kl)
      expect(harms.get(name), name).toBeLessThan(1.02 * kl)
    }
  })

  it('is refused where logits are not numbers', async () => {
    const broken = { ...tensors, 'model.norm.weight': f32([20], new Array(20).fill(Number.NaN)) }
    using model = await loadMade(pool, config, broken)
    weightPool = pool
    const call = measureHarms(model, floatsOf(model), toInt4, tokens, () => {}, undefined)
    await expect(call).rejects.toThrow(NotANumberError)
  })
})

describe('predictions', () => {
  const logits = (length: number) =>
    fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: length, maxLength: length })

  it('diverge as all tokens do, but for those next to impossible', () => {
    fc.assert(
      fc.property(
        logits(40),
        logits(40),
        fc.double({ min: 0, max: 0.1, noNaN: true }),
        (a, b, t) => {
          const reference = Float32Array.from(a)
          const other = reference.map((value, n) => value + t * b[n])
          const predictions = new Predictions(40)
          predictions.add(reference)
          const own = predictions.divergence(0, other)
          const { kl } = divergence(other, reference)
          // each of what is left out changes by at most 0.9, and has 0.01 of the probability at most together
          expect(Math.abs(own - kl)).toBeLessThan(0.02 * (0.9 * (t / 0.1)) ** 2 + 1e-6)
        },
      ),
    )
  })

  it('do not diverge from themselves, and tell of a NaN', () => {
    const predictions = new Predictions(5)
    predictions.add(Float32Array.of(1, 2, 3, -80, 0))
    predictions.add(Float32Array.of(1, 2, Number.NaN, 0, 0))
    expect(predictions.divergence(0, Float32Array.of(2, 3, 4, 50, 1))).toBeCloseTo(0, 12)
    expect(predictions.divergence(0, Float32Array.of(1, 2, Number.NaN, 0, 0))).toBeNaN()
    expect(predictions.divergence(1, Float32Array.of(1, 2, 3, 0, 0))).toBeNaN()
  })
})

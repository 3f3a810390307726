import { join } from 'node:path'
import { ArgumentError, Linear, Model, NotANumberError, Pool, quantizeLinears } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Hessian } from '#src/model/calibration/hessian.js'
import { createPool, isas } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'
import { expectSameBits } from '../support/reference.js'
import { randomCheckpoint } from './random-checkpoint.js'
import { f32, loadMade, logitsOf, readJson, temporaryFolder, writeCheckpoint } from './support.js'

let pool: Pool
beforeAll(async () => {
  // results do not depend on it, and to quantise starts as many threads as the pool has
  pool = await Pool.create({ threads: 1 })
})
afterAll(async () => await pool.close())

const { config, tensors } = randomCheckpoint('LlamaForCausalLM')
const random = randomNumbers(3)
/** More tokens than a step takes; the model's widest Linear has 60 inputs. */
const calibration = Array.from({ length: 300 }, () => Math.floor(random() * 53))
const skip: string[] = []

const load = (where = pool) => loadMade(where, config, tensors)

/** The sum of squares by which int8 weights change each Linear's outputs, on the calibration text. */
async function changes(model: Model, float: Model): Promise<Map<string, number>> {
  const sums = new Map<string, number>()
  await float.decoder.trace(
    [Uint32Array.from(calibration.slice(0, 120))],
    async ({ name, x, y }) => {
      const linear = model.linears.get(name) as Linear
      const own = await linear.forward(x, { precision: 'float32' })
      sums.set(
        name,
        own.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0),
      )
    },
  )
  return sums
}

describe('quantizeLinears with a calibration', () => {
  it("changes every Linear's outputs less than plain rounding", async () => {
    using float = await load()
    using plain = await load()
    using model = await load()
    await quantizeLinears(plain, { skip })
    const report = await quantizeLinears(model, { calibration, skip })
    expect(report.replaced).toEqual([...model.linears.keys()])
    expect(report.calibrationTokens).toBe(120)
    const others = await changes(plain, float)
    for (const [name, change] of await changes(model, float)) {
      expect(change, name).toBeLessThan(others.get(name) as number)
    }
  })

  it('gives the same bits at every number of threads', async () => {
    const [one, three] = [await Pool.create({ threads: 1 }), await Pool.create({ threads: 3 })]
    try {
      using model = await load(one)
      using other = await load(three)
      for (const each of [model, other]) await quantizeLinears(each, { calibration, skip })
      for (const [name, linear] of model.linears) {
        const [a, b] = [linear as Linear, other.linears.get(name) as Linear]
        expectSameBits(a.tiles, b.tiles, name)
        expectSameBits(a.scale, b.scale, name)
      }
    } finally {
      await Promise.all([one.close(), three.close()])
    }
  })

  it('skips the Linears of `skip`, and reports progress', async () => {
    using model = await load()
    const progress: [number, number][] = []
    const onProgress = (...now: [number, number]) => progress.push(now)
    const { replaced } = await quantizeLinears(model, {
      calibration,
      skip: ['lm_head', 'q_proj', 'o_proj'],
      onProgress,
    })
    expect(replaced.length).toBe(10)
    expect(progress.length).toBe(10)
    expect(progress.at(-1)?.[0]).toBe(progress.at(-1)?.[1])
    for (const [name, linear] of model.linears) {
      expect(linear instanceof Linear).toBe(replaced.includes(name))
    }
  })

  it('refuses too few tokens, an empty list, and values that are not tokens', async () => {
    using model = await load()
    const fails = (calibration: ArrayLike<number>) =>
      expect(quantizeLinears(model, { calibration, skip })).rejects
    const expected = 'at least 60 tokens, as many as the widest Linear has inputs, got 59'
    await fails(calibration.slice(0, 59)).toThrow(`calibration: expected ${expected}`)
    await fails([]).toThrow('calibration: expected at least one token id, got none')
    await fails([53]).toThrow('calibration[0]: expected a token id in [0, 53), got 53')
    await fails(7 as never).toThrow(ArgumentError)
  })

  it('leaves the model as it was when it is aborted, or its activations are not finite', async () => {
    using model = await load()
    const before = await logitsOf(model, [1, 2, 3])
    const controller = new AbortController()
    const { signal } = controller
    const reason = new Error('enough')
    const onProgress = () => controller.abort(reason)
    const call = quantizeLinears(model, { calibration, skip, signal, onProgress })
    await expect(call).rejects.toBe(reason)
    expectSameBits(await logitsOf(model, [1, 2, 3]), before)

    const broken = { ...tensors, 'model.norm.weight': f32([20], new Array(20).fill(Number.NaN)) }
    using other = await loadMade(pool, config, broken)
    const broke = quantizeLinears(other, { calibration, skip })
    await expect(broke).rejects.toThrow(NotANumberError)
    await expect(broke).rejects.toThrow('inputs of lm_head at position 0')
    for (const linear of other.linears.values()) {
      expect(linear).not.toBeInstanceOf(Linear)
    }
  })

  it('names the Linear whose weight is not finite', async () => {
    const head = f32([53, 20], new Array(53 * 20).fill(1))
    new Float32Array(head.data.buffer)[25 * 20] = Infinity
    using model = await loadMade(pool, config, { ...tensors, 'lm_head.weight': head })
    const call = quantizeLinears(model, { calibration, skip })
    await expect(call).rejects.toThrow('in output channel 25')
  })
})

describe('a calibrated model after save and load', () => {
  it.each([false, true])('gives the same bits, its head tied: %j', async (isTied) => {
    await using folder = await temporaryFolder()
    const changes = { tie_word_embeddings: isTied }
    const made = randomCheckpoint('LlamaForCausalLM', changes)
    await writeCheckpoint(folder.path, made.config, made.tensors)
    using model = await Model.load(pool, folder.path, { kv: 'bfloat16' })
    await quantizeLinears(model, { calibration, skip })
    const saved = join(folder.path, 'saved')
    await model.save(saved)
    using again = await Model.load(pool, saved)
    expectSameBits(await logitsOf(again, calibration), await logitsOf(model, calibration))
    const { tie_word_embeddings, quantization_config } = readJson(join(saved, 'config.json'))
    expect(tie_word_embeddings).toBe(false)
    expect(quantization_config.ignore).toEqual([])
  })
})

describe('a Hessian', () => {
  it.each(isas)(
    'is the sum of outer products of inputs, right of the diagonal, on %s',
    async (isa) => {
      await using pool = await createPool(isa, { threads: 2 })
      // several pieces
      const K = isa === 'typescript' ? 37 : 300
      const hessian = new Hessian(pool, K)
      const x = Float32Array.from({ length: 50 * K }, () => random() - 0.5)
      await hessian.add(x)
      hessian.clear()
      await hessian.add(x.subarray(0, 17 * K))
      await hessian.add(x.subarray(17 * K))
      for (const [at, sum] of hessian.sums.entries()) {
        const [i, j] = [Math.floor(at / K), at % K]
        if (j < i) continue
        let expected = 0
        for (let t = 0; t < x.length; t += K) expected += x[t + i] * x[t + j]
        expect(sum).toBeCloseTo(expected, 5)
      }
    },
  )
})

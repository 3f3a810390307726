import {
  ArgumentError,
  compareLinears,
  type Linear,
  type LinearError,
  type Model,
  NotANumberError,
  Pool,
} from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linearSpecs } from '#src/model/config/parameters.js'
import type { LinearTrace } from '#src/model/decoder/trace.js'
import { createPool, isas } from '../support/isas.js'
import { f32, loadMade, logitsOf, relativeError, tinyConfig, tinyTensors } from './support.js'

const tokens = Array.from({ length: 20 }, (_, i) => (i * 1009 + 5) % 2048)

let pool: Pool
let float: Model
let int8: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  float = await loadMade(pool)
  int8 = await loadInt8(pool)
})
afterAll(async () => await pool.close())

function loadInt8(pool: Pool, skip: string[] = []): Promise<Model> {
  return loadMade(pool, tinyConfig, tinyTensors(), { quantize: 'w8a8', skip })
}

describe('compareLinears', () => {
  it('finds no error where both models are the same', async () => {
    for (const model of [float, int8]) {
      const errors = await compareLinears(model, model, tokens)
      expect(errors.map(({ error }) => error)).toEqual(errors.map(() => 0))
    }
  })

  it('lists every Linear, in order, by kind and layer', async () => {
    const errors = await compareLinears(int8, float, tokens)
    expect(errors.map(({ name }) => name)).toEqual([...linearSpecs(float.config).keys()])
    const { error, ...rest } = errors[13]
    expect(rest).toEqual({ name: 'model.layers.1.mlp.down_proj', kind: 'down_proj', layer: 1 })
    expect(error).toBeGreaterThan(0)
    expect(errors.at(-1)).toMatchObject({ name: 'lm_head', kind: 'lm_head', layer: null })
  })

  it("reports each Linear's own error on the input of the reference, as a mean over tokens", async () => {
    const errors = await compareLinears(int8, float, tokens)
    const traces = await traceOf(float, tokens)
    for (const [i, { name, x, y }] of traces.entries()) {
      const linear = int8.linears.get(name) as Linear
      const own = await linear.forward(x)
      const rows = tokens.map((_, m) => {
        const row = (of: Float32Array) =>
          of.subarray(m * linear.outFeatures, (m + 1) * linear.outFeatures)
        return relativeError(row(own), row(y))
      })
      expect(errors[i].error).toBeCloseTo(rows.reduce((a, b) => a + b) / rows.length, 9)
    }
  })

  it('is zero for Linears that stay in float, whatever comes before them', async () => {
    using model = await loadInt8(pool, ['down_proj'])
    const errors = await compareLinears(model, float, tokens)
    const without = (list: LinearError[]) => list.filter(({ kind }) => kind !== 'down_proj')
    expect(without(errors)).toEqual(without(await compareLinears(int8, float, tokens)))
    const left = errors.filter(({ kind }) => kind === 'down_proj')
    expect(left.map(({ error }) => error)).toEqual([0, 0])
  })

  it('runs no more tokens than the context holds', async () => {
    const long = Array.from({ length: 100 }, (_, i) => i)
    const some = await compareLinears(int8, float, long.slice(0, float.maxContext))
    expect(await compareLinears(int8, float, long)).toEqual(some)
  })

  it('reports progress in Linears', async () => {
    const progress: [number, number][] = []
    const onProgress = (done: number, total: number) => progress.push([done, total])
    await compareLinears(int8, float, tokens, { onProgress })
    expect(progress).toEqual(Array.from({ length: 15 }, (_, i) => [i + 1, 15]))
  })

  it('stops when aborted', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const { signal } = controller
    const onProgress = () => controller.abort(reason)
    const call = compareLinears(int8, float, tokens, { signal, onProgress })
    await expect(call).rejects.toBe(reason)
    const aborted = compareLinears(int8, float, tokens, { signal: AbortSignal.abort(reason) })
    await expect(aborted).rejects.toBe(reason)
  })

  it('refuses a reference with other Linears, and values that are not tokens', async () => {
    const wide = { ...tinyConfig, intermediate_size: 24 }
    const tensors = tinyTensors()
    for (const [name, { shape, data }] of Object.entries(tensors)) {
      if (!name.includes('.mlp.')) continue
      const dims = shape.map((size) => (size === 20 ? 24 : size))
      tensors[name] = { dtype: 'F32', shape: dims, data: new Uint8Array(24 * 12 * 4) }
      tensors[name].data.set(data)
    }
    using other = await loadMade(pool, wide, tensors)
    const message = 'reference: expected a model.layers.0.mlp.gate_proj of [20, 12], got [24, 12]'
    await expect(compareLinears(float, other, tokens)).rejects.toThrow(message)
    await expect(compareLinears(float, int8, [])).rejects.toThrow(ArgumentError)
    await expect(compareLinears(float, int8, [2048])).rejects.toThrow('tokens[0]: expected')
  })
})

it('refuses outputs that are NaN, and names their Linear', async () => {
  const tensors = tinyTensors()
  tensors['model.norm.weight'] = f32([12], new Array(12).fill(Number.NaN))
  using broken = await loadMade(pool, tinyConfig, tensors)
  const call = compareLinears(int8, broken, tokens)
  await expect(call).rejects.toThrow(NotANumberError)
  await expect(call).rejects.toThrow('outputs of lm_head at position 0')
})

describe('a trace', () => {
  it.each(isas)('computes what a step computes, bit for bit, on %s', async (isa) => {
    await using pool = await createPool(isa, { threads: 2 })
    for (const load of [loadMade, loadInt8]) {
      using model = await load(pool)
      const head = (await traceOf(model, tokens)).at(-1)
      expect(head?.name).toBe('lm_head')
      expect(head?.y).toEqual(await logitsOf(model, tokens))
    }
  })

  it('gives the same for several windows as for each alone, block by block', async () => {
    using model = await loadMade(pool)
    const windows = [tokens, tokens.slice(3, 10), [7]].map((ids) => Uint32Array.from(ids))
    const traces = await traceAll(model, windows)
    for (const [window, ids] of windows.entries()) {
      const own = traces.filter((linear) => linear.window === window)
      const alone = await traceOf(model, [...ids])
      expect(own).toEqual(alone.map((linear) => ({ ...linear, window })))
    }
    const order = [...new Set(traces.map(({ name }) => name))]
    expect(order).toEqual([...model.linears.keys()])
    const last = traces.findLastIndex(({ name }) => name.endsWith('layers.0.self_attn.o_proj'))
    expect(traces.findIndex(({ name }) => name.endsWith('layers.0.mlp.gate_proj'))).toBe(last + 1)
  })
})

async function traceOf(model: Model, tokens: number[]): Promise<LinearTrace[]> {
  return await traceAll(model, [Uint32Array.from(tokens)])
}

async function traceAll(model: Model, windows: Uint32Array[]): Promise<LinearTrace[]> {
  const traces: LinearTrace[] = []
  await model.decoder.trace(windows, async (linear) => {
    traces.push({ ...linear, x: Float32Array.from(linear.x), y: Float32Array.from(linear.y) })
  })
  return traces
}

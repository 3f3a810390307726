import { Linear, Pool, Tensor } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Memory } from '#src/pool/memory.js'
import { createPool, isas } from './support/isas.js'
import { makeCase, optionsOf } from './support/random.js'
import { expectSameBits, linearReference } from './support/reference.js'

describe.each(isas)('the result of forward on %s', (isa) => {
  const linear = makeCase({ rows: 3, inFeatures: 20, outFeatures: 70 }, true, 1)
  const expected = linearReference(linear)
  let pool: Pool
  let layer: Linear
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
    const { weight, scale } = linear
    layer = await Linear.fromInt8(pool, weight, scale, optionsOf(linear))
  })
  afterAll(async () => await pool.close())

  const sharedInput = () => {
    const x = pool.tensor('float32', [3, 20])
    x.data.set(linear.x)
    return x
  }

  it('lies in memory of its own, like the input', async () => {
    const y = await layer.forward(linear.x)
    expect(y.buffer).toBeInstanceOf(ArrayBuffer)
    expect(y.byteLength).toBe(y.buffer.byteLength)
    const again = await layer.forward(linear.x)
    expect(again.buffer).not.toBe(y.buffer)
    expect(layer.forwardSync(linear.x).buffer).toBeInstanceOf(ArrayBuffer)
    // and can be transferred
    expect(structuredClone(y, { transfer: [y.buffer as ArrayBuffer] })).toEqual(again)
  })

  it('lies in shared memory if the input does', async () => {
    const x = sharedInput()
    expect(x.data.buffer).toBeInstanceOf(SharedArrayBuffer)
    const y = await layer.forward(x)
    expect(y).toBeInstanceOf(Tensor)
    expect(y.type).toBe('float32')
    expect(y.dims).toEqual([3, 70])
    expect(y.data.buffer).toBeInstanceOf(SharedArrayBuffer)
    expectSameBits(y.data, expected)
    expect((await layer.forward(x.data)).buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(layer.forwardSync(x).data.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  it('goes into `out`, in any kind of memory', async () => {
    const x = sharedInput()
    for (const input of [linear.x, x.data]) {
      for (const Buffer of [ArrayBuffer, SharedArrayBuffer]) {
        const memory = new Float32Array(new Buffer(4 * 214)).fill(7)
        const out = memory.subarray(2, 212)
        expect(await layer.forward(input, { out })).toBe(out)
        expectSameBits(out, expected)
        out.fill(7)
        expect(layer.forwardSync(input, { out })).toBe(out)
        expectSameBits(out, expected)
        // and nothing beside it is touched
        expect([...memory.subarray(0, 2), ...memory.subarray(212)]).toEqual([7, 7, 7, 7])
      }
    }
    const out = pool.tensor('float32', [3, 70])
    expect(await layer.forward(x, { out })).toBe(out)
    expectSameBits(out.data, expected)
  })

  it('is that of the input at the time of the call, which the caller may change at once', async () => {
    for (const rows of [1, 3]) {
      const x = linear.x.slice(0, rows * 20)
      const promise = layer.forward(x)
      x.fill(1)
      expectSameBits(await promise, expected.subarray(0, rows * 70))
    }
  })

  it('of no rows is empty', async () => {
    expect((await layer.forward(new Float32Array(0))).length).toBe(0)
    expect(layer.forwardSync(new Float32Array(0)).length).toBe(0)
    const y = await layer.forward(new Tensor('bfloat16', new Uint16Array(0), [2, 0, 20]))
    expect(y.dims).toEqual([2, 0, 70])
    const float = await layer.forward(new Float32Array(0), { precision: 'float32' })
    expect(float.length).toBe(0)
    // and the pool still works
    expectSameBits(await layer.forward(linear.x), expected)
  }, 3000)
})

describe('an input in shared memory', () => {
  it('is not copied; an input in private memory is', async () => {
    await using pool = await Pool.create({ threads: 2 })
    const layer = await Linear.fromInt8(pool, new Int8Array(12), 1, {
      inFeatures: 4,
      outFeatures: 3,
    })
    const acquire = vi.spyOn(Memory.prototype, 'acquire')
    await layer.forward(pool.tensor('float32', [1, 4]))
    expect(acquire).toHaveBeenCalledTimes(0)
    await layer.forward(new Float32Array(4))
    expect(acquire).toHaveBeenCalledTimes(1)
    acquire.mockRestore()
  })
})

describe('memory of a call', () => {
  it('is released, so that a thousand calls take no more than a few', async () => {
    await using pool = await Pool.create({ threads: 2 })
    const layer = await Linear.fromInt8(pool, new Int8Array(256 * 64), 1, {
      inFeatures: 256,
      outFeatures: 64,
    })
    const acquire = vi.spyOn(Memory.prototype, 'acquire')
    const release = vi.spyOn(Memory.prototype, 'release')
    const blocks = new Set<ArrayBufferLike>()
    for (let i = 0; i < 100; i++) {
      await Promise.all(Array.from({ length: 10 }, () => layer.forward(new Float32Array(512))))
    }
    for (const { value } of acquire.mock.results) blocks.add((value as Uint8Array).buffer)
    expect(acquire.mock.calls.length).toBeGreaterThan(500)
    expect(release.mock.calls.length).toBe(acquire.mock.calls.length)
    expect(blocks.size).toBeLessThan(60)
    acquire.mockRestore()
    release.mockRestore()
  })
})

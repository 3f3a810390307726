import { applyGate, FusedMlp, intMatmul, Linear, LinearGroup, Pool, Tensor } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'
import type { Any } from './support/public-api.js'

/*
 * Memory that disappears during a call: buffers that shrink or are detached. C must read lengths again each time it
 * uses them, or it reads and writes past the end.
 */

/** Enough rows for several packing steps. */
const shape = { inFeatures: 1024, outFeatures: 8192 }
const size = shape.inFeatures * shape.outFeatures

/** Memory that its owner can take away, all of it or all but some bytes. */
function resizable(byteLength: number): { buffer: ArrayBuffer; shrink: (to: number) => void } {
  const buffer = new (ArrayBuffer as Any)(byteLength, { maxByteLength: byteLength })
  return { buffer, shrink: (to) => buffer.resize(to) }
}

const ways: Record<string, (buffer: ArrayBuffer) => void> = {
  shrinks: (buffer) => (buffer as Any).resize(buffer.byteLength / 2),
  'shrinks to nothing': (buffer) => (buffer as Any).resize(0),
  'is detached': (buffer) => structuredClone(buffer, { transfer: [buffer] }),
}

describe.each(isas)('on %s', (isa) => {
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
  })
  afterAll(async () => await pool.close())

  describe.each(Object.entries(ways))('a weight whose buffer %s while it is packed', (_, take) => {
    it
      .skipIf(isa === 'typescript')
      .each<[string, number, (buffer: ArrayBuffer) => Promise<Linear>]>([
        ['int8', 1, (b) => Linear.fromInt8(pool, new Int8Array(b), 1, shape)],
        [
          'int8 of a fixed length',
          1,
          (b) => Linear.fromInt8(pool, new Int8Array(b, 0, size), 1, shape),
        ],
        ['float32', 4, (b) => Linear.fromFloat(pool, new Float32Array(b), shape)],
        [
          'bfloat16',
          2,
          (b) => {
            const dims = [shape.outFeatures, shape.inFeatures]
            return Linear.fromFloat(pool, new Tensor('bfloat16', new Uint16Array(b), dims), shape)
          },
        ],
      ])('is refused: %s', async (_, bytes, make) => {
      const { buffer } = resizable(size * bytes)
      const making = make(buffer)
      take(buffer)
      const error = await making.catch((error) => error)
      expect(error).toMatchObject({ code: 'ERR_DOTPOOL_ARGUMENT', argument: 'weight' })
      expect(error.expected).toMatch(/until the call settles/)
    })
  })
})

describe('input that is copied at once', () => {
  let pool: Pool
  let linear: Linear
  const options = { inFeatures: 8, outFeatures: 8 }
  beforeAll(async () => {
    pool = await Pool.create({ threads: 2 })
    const weight = new Int8Array(64).map((_, i) => (i * 37) % 100)
    linear = await Linear.fromInt8(pool, weight, 0.5, options)
  })
  afterAll(async () => await pool.close())

  const x = Float32Array.from({ length: 16 }, (_, i) => i - 7)
  const inBuffer = (): Float32Array<ArrayBuffer> => {
    const view = new Float32Array(resizable(64).buffer)
    view.set(x)
    return view
  }

  it.each(Object.entries(ways))('survives that its buffer %s', async (_, take) => {
    const group = new LinearGroup([linear, linear])
    const mlp = new FusedMlp(linear, linear, linear)
    const calls: ((x: Float32Array) => Promise<unknown>)[] = [
      (x) => linear.forward(x),
      (x) => linear.forward(x, { precision: 'float32' }),
      (x) => linear.forward(new Tensor('float32', x, [2, 8])),
      (x) => group.forward(x),
      (x) => mlp.forward(x),
    ]
    for (const call of calls) {
      const given = inBuffer()
      const result = call(given)
      take(given.buffer)
      expect(await result).toEqual(await call(x))
    }
  })

  it.each(Object.entries(ways))('survives that its buffer %s in intMatmul', async (_, take) => {
    const { buffer } = resizable(64)
    const [a, b] = [new Int8Array(buffer).fill(3), new Int8Array(64).fill(2)]
    const left = new Tensor('int8', a, [8, 8])
    const result = intMatmul(pool, left, new Tensor('int8', b, [8, 8]))
    take(buffer)
    expect((await result).data).toEqual(new Int32Array(64).fill(48))
    const again = intMatmul(pool, left, new Tensor('int8', b, [8, 8]))
    await expect(again).rejects.toMatchObject({ argument: 'a' })
  })

  it('can be reused as soon as forward returns', async () => {
    const expected = [await linear.forward(x), await linear.forward(x.map((v) => -v))]
    const reused = x.slice()
    const first = linear.forward(reused)
    for (let i = 0; i < x.length; i++) reused[i] = -x[i]
    const second = linear.forward(reused)
    reused.fill(Number.NaN)
    expect([await first, await second]).toEqual(expected)
  })

  it.each(Object.entries(ways))('refuses an `out` whose buffer %s', async (_, take) => {
    const { buffer } = resizable(64)
    const out = new Float32Array(buffer)
    const calls = [
      () => linear.forward(x, { out }),
      () =>
        linear.forward(new Tensor('float32', x, [2, 8]), {
          out: new Tensor('float32', out, [2, 8]),
        }),
      () => new LinearGroup([linear]).forward(x, { out: [out] }),
      () => new FusedMlp(linear, linear, linear).forward(x, { out }),
    ]
    const results = calls.map((call) => call().catch((error) => error))
    take(buffer)
    for (const error of await Promise.all(results)) {
      expect(error).toMatchObject({ code: 'ERR_DOTPOOL_ARGUMENT', argument: 'out' })
    }
  })

  it('measures a tensor when it is used, not when it was made', async () => {
    const { buffer, shrink } = resizable(64)
    const tensor = new Tensor('float32', new Float32Array(buffer), [2, 8])
    expect((await linear.forward(tensor)).dims).toEqual([2, 8])
    shrink(32)
    await expect(linear.forward(tensor)).rejects.toMatchObject({ argument: 'x' })
  })

  it('reads the length that a growing buffer had when the call began', async () => {
    const shared = new (SharedArrayBuffer as Any)(64, { maxByteLength: 1 << 16 })
    const tracking = new Float32Array(shared)
    tracking.set(x)
    const result = linear.forward(tracking)
    shared.grow(1 << 16)
    expect(await result).toEqual(await linear.forward(x))
  })
})

describe('a typed array with overridden properties', () => {
  let pool: Pool
  let linear: Linear
  beforeAll(async () => {
    pool = await Pool.create({ threads: 1 })
    linear = await Linear.fromInt8(pool, new Int8Array(64).fill(1), 1, {
      inFeatures: 8,
      outFeatures: 8,
    })
  })
  afterAll(async () => await pool.close())

  const lie = (array: object, property: string, value: unknown): Any =>
    Object.defineProperty(array, property, { value })

  it('is measured by the engine', async () => {
    const expected = new Float32Array(8).fill(8 * 127)
    const x = () => new Float32Array(8).fill(127)
    for (const given of [
      lie(x(), 'length', 1 << 20),
      lie(x(), 'byteLength', 1 << 24),
      lie(x(), 'byteOffset', 1 << 20),
      lie(x(), 'buffer', new SharedArrayBuffer(32)),
      lie(x(), 'constructor', Uint16Array),
      lie(x(), 'subarray', () => 5),
      Object.setPrototypeOf(x(), Uint8Array.prototype),
      Object.setPrototypeOf(x(), null),
    ]) {
      expect(await linear.forward(given)).toEqual(expected)
      const out = lie(new Float32Array(8), 'length', 3)
      expect(await linear.forward(x(), { out })).toBe(out)
      expect(new Float32Array(out.buffer)).toEqual(expected)
    }
  })

  it('is refused where it is not the type it claims to be', async () => {
    const bytes = Object.setPrototypeOf(new Uint8Array(8), Float32Array.prototype)
    await expect(linear.forward(bytes)).rejects.toMatchObject({ argument: 'x' })
    const x = new Float32Array(8)
    await expect(linear.forward(x, { out: bytes })).rejects.toMatchObject({ argument: 'out' })
    const few = lie(new Int8Array(4), 'length', 64)
    const options = { inFeatures: 8, outFeatures: 8 }
    await expect(Linear.fromInt8(pool, few, 1, options)).rejects.toMatchObject({
      argument: 'weight',
    })
    expect(() => new Tensor('int8', few, [8, 8])).toThrow(/data: expected 64 elements/)
    expect(() => applyGate('silu', x, lie(new Float32Array(4), 'length', 8))).toThrow(
      /up: expected/,
    )
    const fake = Object.setPrototypeOf(new ArrayBuffer(32), SharedArrayBuffer.prototype)
    const over = new Float32Array(8).fill(127)
    expect(await linear.forward(lie(over, 'buffer', fake))).toEqual(
      new Float32Array(8).fill(8 * 127),
    )
  })

  it('cannot change a layer', () => {
    const group = new LinearGroup([linear])
    const mlp = new FusedMlp(linear, linear, linear)
    for (const [layer, property] of [
      [linear, 'inFeatures'],
      [linear, 'outFeatures'],
      [group, 'inFeatures'],
      [group.linears, 0],
      [mlp, 'gate'],
    ] as [Any, string][]) {
      expect(() => {
        layer[property] = 1e9
      }).toThrow(TypeError)
    }
  })
})

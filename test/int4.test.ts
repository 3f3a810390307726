import { ArgumentError, FusedMlp, Linear, LinearGroup, type Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeInt4 } from '#src/reference/int4.js'
import { randomInt4 } from './support/int4.js'
import { createPool, isas } from './support/isas.js'
import { bf16Tensor, linearCases, makeCase, optionsOf } from './support/random.js'
import { expectSameBits } from './support/reference.js'

/** Rows of every kernel: one, a few, more than are multiplied without decoding a block, more than are decoded for. */
const rowCounts = fc.oneof(
  fc.constant(1),
  fc.integer({ min: 2, max: 25 }),
  fc.integer({ min: 26, max: 600 }),
)

async function bothOf(
  pool: Pool,
  shape: Parameters<typeof makeCase>[0],
  outliers: number,
  seed: number,
) {
  const linear = makeCase(shape, seed % 2 === 0, seed, outliers)
  const int4 = randomInt4(shape, seed)
  const options = optionsOf(linear)
  const four = await Linear.fromInt4(pool, int4, linear.scale, options)
  const eight = await Linear.fromInt8(pool, decodeInt4(int4, shape), linear.scale, options)
  return { four, eight, int4, ...linear }
}

describe.each(isas)('a Linear with weights of four bits on %s', (isa) => {
  const slow = isa === 'typescript' || isa === 'scalar'
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('has the bits of the int8 Linear of the weights that they stand for', async () => {
    await fc.assert(
      fc.asyncProperty(linearCases, rowCounts, fc.integer(), async (shape, count, seed) => {
        const rows = slow ? shape.rows : count
        const { four, eight, x } = await bothOf(pool, { ...shape, rows }, shape.outliers, seed)
        expectSameBits(await four.forward(x), await eight.forward(x))
        expectSameBits(four.forwardSync(x), eight.forwardSync(x), 'sync:')
        const input = bf16Tensor(x, [rows, shape.inFeatures])
        const [a, b] = [await four.forward(input), await eight.forward(input)]
        expectSameBits(a.data, b.data, 'bfloat16:')
      }),
      { numRuns: isa === 'typescript' ? 15 : 60 },
    )
  })

  it('has them for float activations', async () => {
    const precision = 'float32'
    await fc.assert(
      fc.asyncProperty(linearCases, fc.integer(), async (shape, seed) => {
        const { four, eight, x } = await bothOf(pool, shape, 0, seed)
        const [a, b] = [four.forward(x, { precision }), eight.forward(x, { precision })]
        expectSameBits(await a, await b)
      }),
      { numRuns: isa === 'typescript' ? 8 : 25 },
    )
  })

  // more k than a stretch that is decoded at once
  it.each([0, 7])('has them for many k, with %d outliers', async (outliers) => {
    const counts = slow ? [1, 3] : [1, 3, 20, 70, 530]
    const [inFeatures, outFeatures] = [4096 * 2 + 37, isa === 'typescript' ? 3 : 67]
    const shape = { rows: counts.at(-1) as number, inFeatures, outFeatures }
    const { four, eight, x: all } = await bothOf(pool, shape, outliers, 1)
    for (const rows of counts) {
      const x = all.subarray(0, rows * inFeatures)
      expectSameBits(await four.forward(x), await eight.forward(x), `${rows} rows:`)
      if (rows > 3) continue
      const [a, b] = [four, eight].map((each) => each.forwardSync(x, { precision: 'float32' }))
      expectSameBits(a, b, `${rows} rows, float:`)
    }
  })

  it('runs in a LinearGroup and a FusedMlp, beside Linears of eight bits', async () => {
    for (const rows of [1, 5, 40]) {
      const [gate, up] = await Promise.all(
        [1, 2].map((seed) => bothOf(pool, { rows, inFeatures: 70, outFeatures: 130 }, 3, seed)),
      )
      const down = await bothOf(pool, { rows, inFeatures: 130, outFeatures: 70 }, 3, 4)
      const { x } = gate
      const expected = await new LinearGroup([gate.eight, up.eight]).forward(x)
      for (const linears of [
        [gate.four, up.eight],
        [gate.eight, up.four],
      ]) {
        const results = await new LinearGroup(linears).forward(x)
        for (const [i, each] of results.entries()) expectSameBits(each, expected[i])
      }
      const eight = await new FusedMlp(gate.eight, up.eight, down.eight).forward(x)
      expectSameBits(await new FusedMlp(gate.four, up.eight, down.four).forward(x), eight)
    }
  })

  it('gives back its weights', async () => {
    await fc.assert(
      fc.asyncProperty(linearCases, fc.integer(), async (shape, seed) => {
        const { four, int4 } = await bothOf(pool, { ...shape, rows: 1 }, 0, seed)
        const { inFeatures: K, outFeatures: N } = shape
        const [first, last] = [Math.floor(N / 3), N]
        expectSameBits(four.unpack(), decodeInt4(int4, shape))
        expectSameBits(four.unpack(first, last), decodeInt4(int4, shape).subarray(first * K))
        const { nibbles, multipliers } = four.unpackInt4()
        expect(multipliers).toEqual(int4.multipliers)
        if (K % 2 === 0) expect(nibbles).toEqual(int4.nibbles)
        expectSameBits(decodeInt4({ nibbles, multipliers }, shape), decodeInt4(int4, shape))
      }),
      { numRuns: isa === 'typescript' ? 5 : 20 },
    )
  })
})

describe('a Linear with weights of four bits', () => {
  const shape = { inFeatures: 70, outFeatures: 3 }
  let pool: Pool
  beforeAll(async () => {
    pool = await createPool(isas[0], { threads: 2 })
  })
  afterAll(async () => await pool.close())

  it('keeps 0.53 bytes a weight', async () => {
    const [inFeatures, outFeatures] = [2048, 640]
    const four = await Linear.fromInt4(pool, randomInt4({ inFeatures, outFeatures }, 1), 1, {
      inFeatures,
      outFeatures,
    })
    expect(four.tiles.byteLength / (inFeatures * outFeatures)).toBe(1088 / (64 * 32))
    expect(four.weightType).toBe('int4')
    expect(String(four)).toBe('Linear(in_features=2048, out_features=640, bias=false, dtype=int4)')
  })

  it('takes large weights a few channels at a time, and tells of them', async () => {
    const [inFeatures, outFeatures] = [4096, 3000]
    const seen: number[] = []
    const onProgress = (done: number) => seen.push(done)
    // with these multipliers any nibbles fit
    const nibbles = new Uint8Array((inFeatures * outFeatures) / 2)
    const multipliers = new Int8Array((inFeatures * outFeatures) / 32)
    for (let i = 0; i < nibbles.length; i++) nibbles[i] = Math.imul(i, 0x9e3779b1) >>> 24
    for (let i = 0; i < multipliers.length; i++) multipliers[i] = 1 + (i % 16)
    const int4 = { nibbles, multipliers }
    const options = { inFeatures, outFeatures, onProgress }
    const four = await Linear.fromInt4(pool, int4, 1, options)
    expect(seen.length).toBeGreaterThan(1)
    expect(seen.at(-1)).toBe(outFeatures)
    const x = new Float32Array(inFeatures).map((_, k) => (k % 251) - 125)
    const eight = await Linear.fromInt8(
      pool,
      decodeInt4(int4, { inFeatures, outFeatures }),
      1,
      options,
    )
    expectSameBits(await four.forward(x), await eight.forward(x))
  })

  it('ignores the last high nibbles where K is odd', async () => {
    const odd = { inFeatures: 33, outFeatures: 1 }
    const nibbles = new Uint8Array(17).fill(0x88)
    nibbles[16] = 0xf9
    const layer = await Linear.fromInt4(pool, { nibbles, multipliers: Int8Array.of(1, 1) }, 1, odd)
    expect([...layer.unpack()]).toEqual([...new Array(32).fill(0), 1])
    expect(await layer.forward(new Float32Array(33).fill(127))).toEqual(Float32Array.of(127))
  })

  it('takes every multiplier with which all weights fit a byte', async () => {
    const one = { inFeatures: 2, outFeatures: 1 }
    const make = (m: number, u: number) =>
      Linear.fromInt4(
        pool,
        { nibbles: Uint8Array.of(u * 0x11), multipliers: Int8Array.of(m) },
        1,
        one,
      )
    for (let m = -128; m <= 127; m++) {
      for (let u = 0; u < 16; u++) {
        const w8 = (u - 8) * m
        const fits = m !== 0 && w8 >= -128 && w8 <= 127
        const made = await make(m, u).then(
          (layer) => String(layer.unpack()),
          ({ argument }) => argument,
        )
        if (made !== (fits ? `${w8},${w8}` : 'multipliers')) expect.fail(`${m}, ${u}: ${made}`)
      }
    }
  })

  it('names what is wrong with its arguments', async () => {
    const good = () => randomInt4(shape, 3)
    const cases: [weight: unknown, argument: string, message: RegExp][] = [
      [null, 'weight', /expected an object/],
      [{ ...good(), scales: 1 }, 'weight', /unknown option scales/],
      [{ nibbles: good().nibbles }, 'multipliers', /expected an Int8Array, got undefined/],
      [
        { ...good(), nibbles: new Int8Array(105) },
        'nibbles',
        /expected a Uint8Array, got Int8Array/,
      ],
      [{ ...good(), nibbles: new Uint8Array(104) }, 'nibbles', /expected 3 \* 35 elements/],
      [{ ...good(), multipliers: new Int8Array(8) }, 'multipliers', /expected 3 \* 3 elements/],
      [
        { ...good(), multipliers: good().multipliers.fill(0, 5, 6) },
        'multipliers',
        /other than 0, got 0 of output channel 1, k = 64/,
      ],
      [
        { nibbles: good().nibbles.fill(0), multipliers: good().multipliers.fill(17) },
        'multipliers',
        /weights in \[-128, 127\], got \(0 - 8\) \* 17 of output channel 0, k = 0/,
      ],
    ]
    for (const [weight, argument, message] of cases) {
      const error = await Linear.fromInt4(pool, weight as never, 1, shape).catch((e) => e)
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error).toMatchObject({ argument, message: expect.stringMatching(message) })
    }
    for (const scale of [Number.NaN, new Float32Array(2), null]) {
      const error = await Linear.fromInt4(pool, good(), scale as never, shape).catch((e) => e)
      expect(error).toMatchObject({ argument: 'scale' })
    }
  })

  it('has no nibbles to give back where weights have eight bits', async () => {
    const eight = await Linear.fromInt8(pool, new Int8Array(210), 1, shape)
    expect(() => eight.unpackInt4()).toThrow(/expected a Linear with int4 weights, got int8/)
    expect(() => eight.unpack(0, 4)).toThrow(/last: expected an integer in \[0, 3\]/)
    expect(() => eight.unpack(2, 1)).toThrow(/first: expected an integer in \[0, 1\]/)
  })

  it('notices a buffer that shrinks while it is packed', async () => {
    const [inFeatures, outFeatures] = [4096, 4096]
    const nibbles = new Uint8Array((inFeatures * outFeatures) / 2).fill(0x88)
    const multipliers = new Int8Array((inFeatures * outFeatures) / 32).fill(1)
    const making = Linear.fromInt4(pool, { nibbles, multipliers }, 1, { inFeatures, outFeatures })
    structuredClone(nibbles.buffer, { transfer: [nibbles.buffer as ArrayBuffer] })
    await expect(making).rejects.toMatchObject({ argument: 'nibbles' })
  })
})

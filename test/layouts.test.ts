import {
  bf16ToFloat,
  bf16ToFloat32,
  float32ToBf16,
  floatToBf16,
  packSdot,
  Tensor,
  unpackSdot,
} from 'dotpool'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomInt8, randomNumbers } from './support/random.js'
import { expectSameBits } from './support/reference.js'

describe('packSdot', () => {
  const weights = fc
    .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.integer())
    .map(([k, n, seed]) => ({ K: 4 * k, N: 4 * n, random: randomNumbers(seed) }))

  it('has the layout [K/4, N/4, 4, 4], and unpackSdot inverts it', () => {
    fc.assert(
      fc.property(weights, ({ K, N, random }) => {
        const weight = randomInt8(N * K, random)
        const packed = packSdot(weight, K, N)
        let at = 0
        for (let k = 0; k < K; k += 4) {
          for (let n = 0; n < N; n += 4) {
            for (let i = 0; i < 16; i++) {
              const expected = weight[(n + Math.floor(i / 4)) * K + k + (i % 4)]
              if (packed[at++] !== expected) expect.fail(`element ${at - 1}`)
            }
          }
        }
        expectSameBits(unpackSdot(packed, K, N), weight)
      }),
    )
  })
})

describe('bfloat16', () => {
  const word = new Uint32Array(1)
  const float = new Float32Array(word.buffer)
  const floatOf = (bits: number) => {
    word[0] = bits
    return float[0]
  }

  it('widens exactly: its bits are the upper half of a float32', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = bf16ToFloat(bits)
      if (!Object.is(value, floatOf(bits << 16))) expect.fail(`bits ${bits}`)
      if (!Number.isNaN(value) && floatToBf16(value) !== bits) expect.fail(`bits ${bits}`)
    }
  })

  it('rounds to the nearest value, ties to even', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0x7f7f }),
        fc.integer({ min: 0, max: 0xffff }),
        (high, low) => {
          for (const sign of [0, 0x8000]) {
            const value = floatOf((high << 16) | low)
            const signed = sign === 0 ? value : -value
            const up = low > 0x8000 || (low === 0x8000 && high % 2 === 1)
            expect(floatToBf16(signed)).toBe((up ? high + 1 : high) + sign)
          }
        },
      ),
    )
    expect(floatToBf16(floatOf(0x3f808000))).toBe(0x3f80)
    expect(floatToBf16(floatOf(0x3f818000))).toBe(0x3f82)
  })

  it('keeps NaN, infinities, zeros and denormals', () => {
    expect(floatToBf16(NaN)).toBe(0x7fc0)
    expect(floatToBf16(floatOf(0x7f800001))).toBe(0x7fc0)
    expect([Infinity, -Infinity, 0, -0].map(floatToBf16)).toEqual([0x7f80, 0xff80, 0, 0x8000])
    expect(floatToBf16(floatOf(0x7f7fffff))).toBe(0x7f80)
    expect(floatToBf16(floatOf(0x00018000))).toBe(2)
    expect(bf16ToFloat(1)).toBe(2 ** -133)
  })

  it('converts whole arrays, into new ones or into `out`', () => {
    const bits = Uint16Array.from([0x3f80, 0xc000, 0x7f80])
    const out = new Float32Array(new ArrayBuffer(20), 4, 3)
    expect([...bf16ToFloat32(bits)]).toEqual([1, -2, Infinity])
    expect(bf16ToFloat32(bits, out)).toBe(out)
    expect([...out]).toEqual([1, -2, Infinity])
    const half = new Uint16Array(4).fill(9)
    expect(float32ToBf16(out)).toEqual(bits)
    expect(float32ToBf16(out, half)).toBe(half)
    expect([...half]).toEqual([...bits, 9])
  })
})

describe('a Tensor', () => {
  it('holds its data without a copy, and freezes its dims', () => {
    const data = new Float32Array(6)
    const dims = [2, 3]
    const tensor = new Tensor('float32', data, dims)
    dims[0] = 3
    expect(tensor.data).toBe(data)
    expect(tensor.dims).toEqual([2, 3])
    expect(tensor.size).toBe(6)
    expect(String(tensor)).toBe('Tensor(float32, [2, 3])')
    expect(() => (tensor.dims as number[]).push(1)).toThrow(TypeError)
  })

  it('can be a scalar, or empty', () => {
    expect(new Tensor('int32', new Int32Array(1), []).size).toBe(1)
    expect(new Tensor('bfloat16', new Uint16Array(0), [4, 0]).size).toBe(0)
  })
})

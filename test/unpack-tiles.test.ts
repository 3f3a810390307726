import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tileBytes, tileIndex, unpackTiles } from '#src/layouts/tiles.js'
import { randomInt8, randomNumbers } from './support/random.js'
import { expectSameBits } from './support/reference.js'

describe('unpackTiles', () => {
  const rows = fc
    .tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 20 }), fc.nat(), fc.nat())
    .map(([N, K, a, b]) => ({ N, K, range: [a % (N + 1), b % (N + 1)].sort((x, y) => x - y) }))

  it('returns any rows in the order of the weight', () => {
    fc.assert(
      fc.property(rows, fc.integer(), ({ N, K, range: [first, last] }, seed) => {
        const weight = randomInt8(N * K, randomNumbers(seed))
        const tiles = new Int8Array(tileBytes(N, K))
        for (let n = 0; n < N; n++) {
          for (let k = 0; k < K; k++) tiles[tileIndex(n, k, K)] = weight[n * K + k]
        }
        expectSameBits(unpackTiles(tiles, K, first, last), weight.slice(first * K, last * K))
      }),
    )
  })

  it('refuses rows out of range, and an output of the wrong length', () => {
    const tiles = new Int8Array(tileBytes(64, 8))
    expect(() => unpackTiles(tiles, 8, 0, 65)).toThrow(/lastRow: expected an integer in \[0, 64\]/)
    expect(() => unpackTiles(tiles, 8, 3, 2)).toThrow(/firstRow: expected an integer in \[0, 2\]/)
    expect(() => unpackTiles(tiles, 8, 0, 2, new Int8Array(15))).toThrow(/out: expected length 16/)
  })
})

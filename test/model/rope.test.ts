import { expect, it } from 'vitest'
import { ropeFrequencies, rotate, rotationAt } from '#src/model/rope.js'

it('ropeFrequencies fall from 1 by powers of theta', () => {
  expect([...ropeFrequencies(4, 10_000)]).toEqual([1, Math.fround(0.01)])
})

it('rotate turns element i with i + D/2 by the angle of the position', () => {
  const rotation = rotationAt(Float32Array.of(1, 0.5), 3, 1)
  const x = Float32Array.of(1, 0, 0, 2)
  rotate(x, 4, rotation)
  const expected = [Math.cos(3), -2 * Math.sin(1.5), Math.sin(3), 2 * Math.cos(1.5)]
  for (const [i, value] of expected.entries()) expect(x[i]).toBeCloseTo(value, 6)
})

it('rotate takes one position per row, the same for all its heads', () => {
  const frequencies = ropeFrequencies(2, 10_000)
  const x = Float32Array.of(1, 0, 1, 0, 1, 0, 1, 0) // 2 rows of 2 heads
  rotate(x, 2, rotationAt(frequencies, 0, 2))
  const [c, s] = [Math.fround(Math.cos(1)), Math.fround(Math.sin(1))]
  expect([...x]).toEqual([1, 0, 1, 0, c, s, c, s])
})

it('positions go on where the cache ends', () => {
  const frequencies = ropeFrequencies(8, 10_000)
  const all = rotationAt(frequencies, 0, 6)
  const rest = rotationAt(frequencies, 4, 2)
  expect(rest.cos).toEqual(all.cos.slice(16))
  expect(rest.sin).toEqual(all.sin.slice(16))
})

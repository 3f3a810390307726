import { expect, it } from 'vitest'
import { rmsNorm } from '#src/model/rms-norm.js'

it('rmsNorm divides each row by its root mean square and weighs it', () => {
  // rows of mean square 12.5 and 50
  const y = rmsNorm(Float32Array.of(3, 4, -6, 8), Float32Array.of(1, 2), 0)
  const expected = [3 / 12.5 ** 0.5, 8 / 12.5 ** 0.5, -6 / 50 ** 0.5, 16 / 50 ** 0.5]
  for (const [i, value] of expected.entries()) expect(y[i]).toBeCloseTo(value, 6)
})

it('rmsNorm gives zeros for zeros', () => {
  expect([...rmsNorm(new Float32Array(2), Float32Array.of(1, 1), 1e-6)]).toEqual([0, 0])
})

import { expect, it } from 'vitest'
import { dotRows } from '#src/model/dot.js'
import { seededRandom } from '#src/model/generation/random.js'

it.each([1, 7, 8, 9, 24])(
  'dotRows of %d rows is the plain sum, at any offset and stride',
  (count) => {
    const random = seededRandom(count)
    const [depth, stride] = [13, 17]
    const x = Float32Array.from({ length: 3 + depth }, () => random() - 0.5)
    const w = Float32Array.from({ length: 5 + count * stride }, () => random() - 0.5)
    const y = new Float32Array(2 + count + 1).fill(9)
    dotRows(x, 3, w, 5, stride, y, 2, count, depth)
    for (let n = 0; n < count; n++) {
      let sum = 0
      for (let k = 0; k < depth; k++) sum += x[3 + k] * w[5 + n * stride + k]
      expect(y[2 + n]).toBe(Math.fround(sum))
    }
    expect([y[0], y[1], y[2 + count]]).toEqual([9, 9, 9])
  },
)

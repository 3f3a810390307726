import { expect, it } from 'vitest'
import { ArgumentError, DisposedError } from '#src/errors.js'
import { FloatProjection } from '#src/model/float-projection.js'
import { seededRandom } from '#src/model/generation/random.js'

const random = seededRandom(3)
const fill = (length: number) => Float32Array.from({ length }, () => random() - 0.5)

it('multiplies and adds the bias, for shapes with tails', async () => {
  for (const [M, N, K] of [
    [1, 1, 1],
    [3, 70, 5],
    [2, 129, 33],
  ]) {
    const [x, w, bias] = [fill(M * K), fill(N * K), fill(N)]
    const y = await new FloatProjection(w, K, bias).forward(x)
    expect(y.length).toBe(M * N)
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = bias[n]
        for (let k = 0; k < K; k++) sum += x[m * K + k] * w[n * K + k]
        expect(y[m * N + n]).toBeCloseTo(sum, 5)
      }
    }
  }
})

it('gives a row the same bits whatever rows stand beside it', async () => {
  const projection = new FloatProjection(fill(20 * 30), 30)
  const x = fill(4 * 30)
  const all = await projection.forward(x)
  expect(await projection.forward(x.subarray(60, 90))).toEqual(all.subarray(40, 60))
})

it('lets the event loop turn during long work, and stops when aborted', async () => {
  const projection = new FloatProjection(new Float32Array(2048 * 2048), 2048)
  const x = new Float32Array(64 * 2048)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await projection.forward(x)
  clearInterval(timer)
  expect(turns).toBeGreaterThan(5)
  const signal = AbortSignal.timeout(10)
  await expect(projection.forward(x, { signal })).rejects.toHaveProperty('name', 'TimeoutError')
})

it('refuses rows of another length, and work after dispose', async () => {
  const projection = new FloatProjection(fill(6), 3)
  expect(String(projection)).toBe(
    'Linear(in_features=3, out_features=2, bias=false, dtype=float32)',
  )
  await expect(projection.forward(fill(4))).rejects.toThrow(ArgumentError)
  projection.dispose()
  await expect(projection.forward(fill(3))).rejects.toThrow(DisposedError)
})

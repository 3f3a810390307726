import { randomFillSync } from 'node:crypto'
import { Linear, type Pool, type Tensor } from '../src/index.js'
import { ROTATION_BYTES, type Rotation, type Runner, type Shape } from './runner.js'

/** This library, through its public API. */
export function dotpoolRunner(pool: Pool): Runner {
  return {
    name: 'dotpool',
    rotation: async (shape) => new LinearRotation(pool, await randomLinears(pool, shape), shape),
  }
}

/** Linears of one shape, too many for any cache. */
export async function randomLinears(pool: Pool, { k, n }: Shape, outliers = 0): Promise<Linear[]> {
  const weight = randomFillSync(new Int8Array(n * k))
  const linears: Linear[] = []
  while (linears.length * weight.length < ROTATION_BYTES) {
    linears.push(await linearFrom(pool, weight, { k, n }, outliers))
  }
  return linears
}

/** A Linear with random weights. */
export function randomLinear(pool: Pool, shape: Shape): Promise<Linear> {
  return linearFrom(pool, randomFillSync(new Int8Array(shape.n * shape.k)), shape)
}

/** float32 [M, K] in shared memory, so that no call copies it. */
export function randomRows(pool: Pool, m: number, k: number): Tensor<'float32'> {
  const rows = pool.tensor('float32', [m, k])
  rows.data.set(randomFillSync(new Int8Array(m * k)))
  return rows
}

function linearFrom(pool: Pool, weight: Int8Array, { k, n }: Shape, outliers = 0): Promise<Linear> {
  return Linear.fromInt8(pool, weight, 1 / 127, { inFeatures: k, outFeatures: n, outliers })
}

class LinearRotation implements Rotation {
  readonly layerBytes: number
  readonly #pool: Pool
  readonly #linears: Linear[]
  readonly #shape: Shape
  #turn = 0

  constructor(pool: Pool, linears: Linear[], shape: Shape) {
    this.layerBytes = shape.n * shape.k
    this.#pool = pool
    this.#linears = linears
    this.#shape = shape
  }

  forwards(m: number): () => unknown {
    const { k, n } = this.#shape
    const x = randomRows(this.#pool, m, k)
    const out = this.#pool.tensor('float32', [m, n])
    return () => this.#next().forwardSync(x, { out })
  }

  plainForwards(): () => unknown {
    const x = Float32Array.from(randomFillSync(new Int8Array(this.#shape.k)))
    return () => this.#next().forwardSync(x)
  }

  #next(): Linear {
    this.#turn = (this.#turn + 1) % this.#linears.length
    return this.#linears[this.#turn]
  }
}

import { createHash } from 'node:crypto'
import { FusedMlp, intMatmul, Linear, type Pool, Tensor } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { loadFixture } from './model/support.js'
import { createPool, isas } from './support/isas.js'
import { randomNumbers } from './support/random.js'

/*
 * What every machine must compute, as checksums: the same bits on x86 and Arm, in C and TypeScript. Run this file on
 * another kind of machine to see that it agrees.
 */

const table = {
  'Linear, one row': '41b936f8a941912e',
  'Linear, rows with tails': '63cd5c83fdc0f1a3',
  'Linear, bfloat16 with bias': '4abed6873f2639cd',
  'Linear, float32 activations': '700b8963010a8e08',
  'Linear, one row with outliers': '74d369128ed6b0de',
  'Linear, rows with outliers': '2d6c06bf952405c5',
  'Linear of four bits, one row': 'd10e9397fab8723f',
  'Linear of four bits, rows with outliers': '119b9f40e44568d9',
  'FusedMlp, SwiGLU': '30711a2a3acf82f0',
  'FusedMlp, GeGLU': '880ef96e5d35242e',
  intMatmul: '44b1ebfb8aa518ad',
  'logits of a model without outliers': '3621952ae556184c',
  'logits of a model': '44e74a74a9857557',
  'tokens drawn by top-p': 'e60fa7440d70b29a',
}

type Case = keyof typeof table

const cases: Record<Case, (pool: Pool) => Promise<ArrayBufferView>> = {
  'Linear, one row': async (pool) => {
    const linear = await makeLinear(pool, 301, 130, 1)
    return await linear.forward(floats(301, 2))
  },
  'Linear, rows with tails': async (pool) => {
    const linear = await makeLinear(pool, 77, 203, 3)
    return await linear.forward(floats(61 * 77, 4))
  },
  'Linear, bfloat16 with bias': async (pool) => {
    const linear = await makeLinear(pool, 64, 96, 5, floats(96, 6))
    const x = new Tensor('bfloat16', bf16(9 * 64, 7), [9, 64])
    return (await linear.forward(x)).data
  },
  'Linear, float32 activations': async (pool) => {
    const linear = await makeLinear(pool, 130, 70, 8)
    return await linear.forward(floats(5 * 130, 9), { precision: 'float32' })
  },
  'Linear, one row with outliers': async (pool) => {
    const linear = await makeLinear(pool, 301, 130, 14, undefined, 8)
    return await linear.forward(spiky(1, 301, 15))
  },
  'Linear, rows with outliers': async (pool) => {
    const linear = await makeLinear(pool, 77, 203, 16, floats(203, 17), 5)
    return await linear.forward(spiky(61, 77, 18))
  },
  'Linear of four bits, one row': async (pool) => {
    const linear = await makeInt4Linear(pool, 301, 130, 22)
    return await linear.forward(floats(301, 23))
  },
  'Linear of four bits, rows with outliers': async (pool) => {
    const linear = await makeInt4Linear(pool, 77, 203, 24, 5)
    return await linear.forward(spiky(61, 77, 25))
  },
  'FusedMlp, SwiGLU': (pool) => runMlp(pool, 'silu'),
  'FusedMlp, GeGLU': (pool) => runMlp(pool, 'gelu'),
  intMatmul: async (pool) => {
    const [a, b] = [bytes(13 * 90, 20), bytes(90 * 33, 21)]
    return (await intMatmul(pool, new Tensor('int8', a, [13, 90]), new Tensor('int8', b, [90, 33])))
      .data
  },
  'logits of a model without outliers': async (pool) => {
    using model = await loadFixture(pool, { outliers: 0 })
    return (await model.logits([5, 17, 300, 42, 7, 7, 1999])).data
  },
  'logits of a model': async (pool) => {
    using model = await loadFixture(pool)
    return (await model.logits([5, 17, 300, 42, 7, 7, 1999])).data
  },
  'tokens drawn by top-p': async (pool) => {
    using model = await loadFixture(pool, { kv: 'int8' })
    const ids: number[] = []
    const options = { maxTokens: 6, sampling: { temperature: 0.9, topP: 0.9, seed: 11 } }
    for await (const id of model.generateTokens([5, 17, 300], { ...options, ignoreEnd: true })) {
      ids.push(id)
    }
    return Uint32Array.from(ids)
  },
}

describe.each(isas)('on %s', (isa) => {
  it('results have the same checksums as on every other machine', async () => {
    await using pool = await createPool(isa, { threads: 2 })
    const sums: Record<string, string> = {}
    for (const [name, run] of Object.entries(cases)) sums[name] = checksum(await run(pool))
    expect(sums).toEqual(table)
  })
})

async function runMlp(pool: Pool, activation: 'silu' | 'gelu'): Promise<Float32Array> {
  const gate = await makeLinear(pool, 60, 90, 10)
  const up = await makeLinear(pool, 60, 90, 11)
  const down = await makeLinear(pool, 90, 60, 12)
  return await new FusedMlp(gate, up, down, { activation }).forward(floats(7 * 60, 13))
}

async function makeLinear(
  pool: Pool,
  inFeatures: number,
  outFeatures: number,
  seed: number,
  bias?: Float32Array,
  outliers = 0,
): Promise<Linear> {
  const weight = floats(inFeatures * outFeatures, seed)
  return await Linear.fromFloat(pool, weight, { inFeatures, outFeatures, bias, outliers })
}

async function makeInt4Linear(
  pool: Pool,
  inFeatures: number,
  outFeatures: number,
  seed: number,
  outliers = 0,
): Promise<Linear> {
  const random = randomNumbers(seed)
  const nibbles = new Uint8Array(outFeatures * Math.ceil(inFeatures / 2)).map(() => random() * 256)
  const groups = outFeatures * Math.ceil(inFeatures / 32)
  const multipliers = new Int8Array(groups).map(() => 1 + random() * 16)
  const options = { inFeatures, outFeatures, outliers }
  return await Linear.fromInt4(pool, { nibbles, multipliers }, 1 / 1024, options)
}

/** Rows in which every seventh element is large: more outliers than are kept exact. */
function spiky(rows: number, width: number, seed: number): Float32Array {
  return floats(rows * width, seed).map((value, i) =>
    i % 7 === 0 ? value * (1 + (i % 101)) : value,
  )
}

/** Exact in float32 on every machine: multiples of 2^-12. */
function floats(length: number, seed: number): Float32Array {
  const random = randomNumbers(seed)
  return Float32Array.from({ length }, () => (Math.floor(random() * 2 ** 15) - 2 ** 14) / 2 ** 12)
}

function bf16(length: number, seed: number): Uint16Array {
  const random = randomNumbers(seed)
  return Uint16Array.from({ length }, () => 0x3f00 + Math.floor(random() * 256))
}

function bytes(length: number, seed: number): Int8Array {
  const random = randomNumbers(seed)
  return Int8Array.from({ length }, () => Math.floor(random() * 256) - 128)
}

function checksum({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  const data = new Uint8Array(buffer, byteOffset, byteLength)
  return createHash('sha256').update(data).digest('hex').slice(0, 16)
}

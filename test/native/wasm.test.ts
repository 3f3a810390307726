import { FusedMlp, Linear, type Pool, Tensor } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findWasm } from '#src/native/library.js'
import { loadWasm } from '#src/native/load.js'
import { runScript } from '../support/child.js'
import { createPool } from '../support/isas.js'
import { makeCase, optionsOf } from '../support/random.js'
import { expectSameBits, linearReference } from '../support/reference.js'

/* What is peculiar to WebAssembly: it sees its own memory only. Everything else is tested on every ISA. */

const path = findWasm()
const why = path === null ? ' (skipped: it takes clang with its linker to build)' : ''

describe.skipIf(path === null)(`WebAssembly${why}`, () => {
  const linear = makeCase({ rows: 5, inFeatures: 70, outFeatures: 100 }, true, 3)
  const expected = linearReference(linear)
  const isa = loadWasm()?.isas()[0] ?? ''
  let pool: Pool
  let layer: Linear
  beforeAll(async () => {
    pool = await createPool(isa, { threads: 2 })
    const { weight, scale } = linear
    layer = await Linear.fromInt8(pool, weight, scale, optionsOf(linear))
  })
  afterAll(async () => await pool.close())

  const sharedTensor = (buffer = new SharedArrayBuffer(4 * linear.x.length)) => {
    const x = new Tensor('float32', new Float32Array(buffer), [5, 70])
    x.data.set(linear.x)
    return x
  }

  it('takes inputs in any memory', async () => {
    const own = pool.tensor('float32', [5, 70])
    own.data.set(linear.x)
    for (const x of [own, sharedTensor(), new Tensor('float32', linear.x, [5, 70])]) {
      const y = await layer.forward(x)
      expectSameBits(y.data, expected)
      expect(y.data.buffer instanceof SharedArrayBuffer).toBe(
        x.data.buffer instanceof SharedArrayBuffer,
      )
    }
  })

  it('writes results to any memory', async () => {
    const wanted = [
      pool.tensor('float32', [5, 100]),
      new Tensor('float32', new Float32Array(new SharedArrayBuffer(2000)), [5, 100]),
      new Tensor('float32', new Float32Array(500), [5, 100]),
    ]
    for (const out of wanted) {
      expect(await layer.forward(sharedTensor(), { out })).toBe(out)
      expectSameBits(out.data, expected)
    }
  })

  it('shares tensors with the native library, both ways', async ({ skip }) => {
    const other = await createPool('', { threads: 1 })
    skip(other.isa === pool.isa, 'no native library')
    const { weight, scale } = linear
    const native = await Linear.fromInt8(other, weight, scale, optionsOf(linear))
    const [ours, theirs] = [pool, other].map(({ memory }) => memory.array('float32', 350))
    for (const x of [ours, theirs]) {
      x.set(linear.x)
      for (const each of [layer, native]) {
        expectSameBits((await each.forward(new Tensor('float32', x, [5, 70]))).data, expected)
      }
    }
    await other.close()
  })

  it('blocks in forwardSync', () => {
    expectSameBits(layer.forwardSync(linear.x), expected)
  })

  it('fuses', async () => {
    const make = async (inFeatures: number, outFeatures: number) =>
      await Linear.fromInt8(pool, new Int8Array(inFeatures * outFeatures).fill(1), 1, {
        inFeatures,
        outFeatures,
      })
    const mlp = new FusedMlp(await make(8, 70), await make(8, 70), await make(70, 8))
    expect((await mlp.forward(new Float32Array(8).fill(1))).every((y) => y > 0)).toBe(true)
  })

  it('reclaims memory: unreferenced tensors do not fill it', async () => {
    const { stdout, stderr } = await runScript(
      `import { Pool } from 'dotpool'
       const pool = await Pool.create({ threads: 1 })
       for (let i = 0; i < 80; i++) {
         pool.tensor('int8', [64 << 20])
         await new Promise((resolve) => setImmediate(resolve))
       }
       await pool.close()
       console.log(pool.isa)`,
      { env: { DOTPOOL_ISA: isa } },
    )
    expect(stderr).toBe('')
    expect(stdout).toBe(`${isa}\n`)
  })
})

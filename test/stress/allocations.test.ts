import { DotpoolError, FusedMlp, intMatmul, LinearGroup, Model, Pool, Tensor } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, temporaryFolder, writeCheckpoint } from '../model/support.js'
import { isas } from '../support/isas.js'
import { randomLinear } from '../support/layers.js'
import { errorOf, threadCount } from '../support/threads.js'

/*
 * Makes every allocation of shared memory fail once: the first, the second, and so on, until there are no more. C
 * allocates none itself (except the size of a cache on Windows), and WebAssembly's memory is one buffer that grows.
 */

const shared = globalThis.SharedArrayBuffer

/** Calls `act` while the allocation of this number fails; returns how many there were. */
async function failing(number: number, act: () => Promise<unknown>) {
  let count = 0
  globalThis.SharedArrayBuffer = new Proxy(shared, {
    construct(target, args) {
      // Piscina's own allocations cannot report a failure
      const isOurs = !new Error().stack?.includes('piscina')
      if (isOurs && ++count === number) throw new RangeError('Array buffer allocation failed')
      return Reflect.construct(target, args)
    },
  })
  try {
    return { error: await errorOf(act()), count }
  } finally {
    globalThis.SharedArrayBuffer = shared
  }
}

/**
 * Makes each allocation of `act` fail in turn; checks the error, and runs `check` after each. Requests may recover: they
 * take the pages of kept prefixes where they get no others.
 */
async function failEach(
  act: () => Promise<unknown>,
  check: () => unknown,
  { mayRecover = false } = {},
): Promise<number> {
  for (let number = 1; ; number++) {
    const { error, count } = await failing(number, act)
    if (count < number) {
      expect(error).toBeUndefined()
      return number - 1
    }
    if (mayRecover && error === undefined) continue
    // a RangeError itself, or as the cause of an error that says what the memory was for
    expect(String(error)).toMatch(/no buffer of|allocation failed|cannot allocate/)
    expect(error instanceof RangeError || error instanceof DotpoolError).toBe(true)
    await check()
  }
}

const some = isas.filter((isa) => isa !== 'typescript' && !isa.startsWith('wasm')).slice(0, 1)

describe.each(some)('when memory cannot be allocated, with %s,', (isa) => {
  let pool: Pool
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const before = process.env.DOTPOOL_ISA
  beforeAll(async () => {
    process.env.DOTPOOL_ISA = isa
    pool = await Pool.create({ threads: 2 })
    folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
  })
  afterAll(async () => {
    if (before === undefined) delete process.env.DOTPOOL_ISA
    else process.env.DOTPOOL_ISA = before
    await pool.close()
    await folder[Symbol.asyncDispose]()
  })

  it('Pool.create rejects, and leaves no threads', async () => {
    const threads = threadCount()
    const create = async () => await (await Pool.create({ threads: 2 })).close()
    expect(await failEach(create, () => expect(threadCount()).toBe(threads))).toBeGreaterThan(0)
  })

  it('layer calls reject, and later calls give the same results as before', async () => {
    const make = async () => {
      const [gate, up, down] = await Promise.all([
        randomLinear(pool, 40, 70, 1),
        randomLinear(pool, 40, 70, 2),
        randomLinear(pool, 70, 20, 3),
      ])
      return { gate, group: new LinearGroup([gate, up]), mlp: new FusedMlp(gate, up, down) }
    }
    const x = new Float32Array(2000 * 40).map((_, i) => Math.sin(i))
    const a = new Tensor('int8', new Int8Array(300 * 40).fill(1), [300, 40])
    const b = new Tensor('int8', new Int8Array(40 * 300).fill(1), [40, 300])
    const { gate, group, mlp } = await make()
    // of sizes that no earlier call kept
    let rows = 200
    const call = async () => {
      rows++
      const some = x.subarray(0, rows * 40)
      gate.forwardSync(some)
      await mlp.forward(pool.tensor('float32', [rows, 40]))
      await Promise.all([gate.forward(some), group.forward(some), mlp.forward(some)])
      await intMatmul(pool, a, b)
    }
    const row = x.subarray(0, 40)
    const expected = await mlp.forward(row)
    const check = async () => expect(await mlp.forward(row)).toEqual(expected)
    expect(await failEach(make, check)).toBeGreaterThan(8)
    expect(await failEach(call, check)).toBeGreaterThan(0)
  })

  it('model loads and requests reject, and later ones give the same results as before', async () => {
    const prompt = Array.from({ length: 20 }, (_, i) => i + 1)
    const generate = (model: Model) => collect(model.generateTokens(prompt, { maxTokens: 8 }))
    const load = async () => {
      const model = await Model.load(pool, folder.path)
      const tokens = await generate(model)
      await model.logits(prompt)
      model.dispose()
      return tokens
    }
    const model = await Model.load(pool, folder.path)
    const expected = await generate(model)
    const check = async () => expect(await generate(model)).toEqual(expected)
    expect(await failEach(load, check, { mayRecover: true })).toBeGreaterThan(20)
    expect(await load()).toEqual(expected)
    // the allocations of a running model: pages and tables of sequences
    const options = { maxTokens: 8, sampling: { temperature: 1, repetitionPenalty: 1.1, seed: 1 } }
    const run = async () => await collect(model.generateTokens(prompt, options))
    await failEach(run, check, { mayRecover: true })
    model.dispose()
  })
})

import { describe, expect, it } from 'vitest'
import { runScript } from './support/child.js'
import { isas } from './support/isas.js'

/** Makes the system refuse all threads but `left`, as it does where a process has reached its limit. */
const setUp = `
  import { createRequire } from 'node:module'
  const threads = createRequire(import.meta.url)('node:worker_threads')
  const { Worker } = threads
  let left = Infinity
  const alive = new Set()
  threads.Worker = class extends Worker {
    constructor(...args) {
      if (left === 0) throw new Error('Worker initialization failure: EAGAIN')
      left--
      super(...args)
      alive.add(this)
      this.on('exit', () => alive.delete(this))
    }
  }
  const { Linear, Pool } = await import('dotpool')
  const shape = { inFeatures: 8, outFeatures: 8 }
  const makeLayer = (pool) => Linear.fromInt8(pool, new Int8Array(64).fill(1), 1, shape)
  const x = new Float32Array(8).fill(127)
  const isRight = (y) => y.every((value) => value === 8 * 127)
`

const natives = isas.filter((isa) => isa !== 'typescript').slice(0, 1)

describe.each(natives)('when the system refuses threads to %s,', (isa) => {
  const run = (source: string) => runScript(setUp + source, { env: { DOTPOOL_ISA: isa } })

  it.each([0, 1, 5])('Pool.create rejects, and leaves none of %i behind', async (count) => {
    const { code, stdout, stderr } = await run(`
      left = ${count}
      const error = await Pool.create({ threads: 6 }).catch((error) => error)
      console.log(error.code, error.message.includes('EAGAIN'), alive.size)`)
    const expected = 'ERR_DOTPOOL_POOL_BROKEN true 0\n'
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expected, stderr: '' })
  })

  it('a pool continues with the threads that it has, and recovers all later', async () => {
    const { code, stdout, stderr } = await run(`
      const pool = await Pool.create({ threads: 3 })
      const layer = await makeLayer(pool)
      left = 0
      await [...alive][0].terminate()
      for (let i = 0; i < 50; i++) if (!isRight(await layer.forward(x))) console.log('wrong')
      console.log(alive.size)
      left = Infinity
      while (alive.size < 3) await layer.forward(x)
      await pool.close()
      console.log(alive.size)`)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '2\n0\n', stderr: '' })
  })

  it('a pool without threads rejects its calls', async () => {
    const { code, stdout, stderr } = await run(`
      const pool = await Pool.create({ threads: 2 })
      const layer = await makeLayer(pool)
      left = 0
      await Promise.all([...alive].map((worker) => worker.terminate()))
      await layer.forward(x).catch((error) => console.log(error.code))
      await pool.close()`)
    const expected = 'ERR_DOTPOOL_POOL_BROKEN\n'
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expected, stderr: '' })
  })
})

it('when the system refuses threads, the TypeScript fallback rejects calls, and serves them later', async () => {
  const { code, stdout, stderr } = await runScript(
    `${setUp}
    const pool = await Pool.create({ threads: 3 })
    left = 1
    await makeLayer(pool).catch((error) => console.log(error.code))
    left = Infinity
    console.log(isRight(await (await makeLayer(pool)).forward(x)))
    await pool.close()
    console.log(alive.size)`,
    { env: { DOTPOOL_ISA: 'typescript' } },
  )
  const expected = 'ERR_DOTPOOL_WORKER_DIED\ntrue\n0\n'
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expected, stderr: '' })
})

import { describe, expect, it } from 'vitest'
import { runScript } from '../support/child.js'
import { scripted, why } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'

/*
 * Threads that are terminated at any moment of their start. Node and koffi abort at some of those moments, so a pool
 * must choose it well.
 */

/** Times after which something happens, milliseconds: the same in every run. */
function times(count: number, most: number): number[] {
  const random = randomNumbers(count)
  return Array.from({ length: count }, () => Math.floor(random() * most))
}

/** Closes a pool `rounds` times, while threads start in place of those that died. */
const closes = (threads: number, rounds: number) => `
  import { Pool } from 'dotpool'
  const up = new Set()
  process.on('worker', (worker) => {
    worker.on('message', (message) => typeof message === 'number' && up.add(worker))
    worker.on('exit', () => up.delete(worker))
  })
  for (const millis of ${JSON.stringify(times(rounds, 60))}) {
    const pool = await Pool.create({ threads: ${threads} })
    await Promise.all([...up].map((worker) => worker.terminate()))
    await new Promise((resolve) => setTimeout(resolve, millis))
    await pool.close()
  }`

describe.skipIf(scripted)(`while threads start${why}`, () => {
  it.each([
    [8, 20],
    [256, 1],
  ])('a pool of %i can be closed', async (threads, rounds) => {
    const source = closes(threads, rounds)
    expect(await runScript(source)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('the process can exit', async () => {
    for (const millis of times(40, 120)) {
      const source = `
        import { Pool } from 'dotpool'
        Pool.create({ threads: 8 })
        setTimeout(() => process.exit(7), ${millis})`
      expect(await runScript(source)).toEqual({ code: 7, stdout: '', stderr: '' })
    }
  })
})

it('a pool can be closed while its threads run TypeScript for the first time', async () => {
  const source = `
    import { Linear, Pool } from 'dotpool'
    process.env.DOTPOOL_ISA = 'typescript'
    for (const millis of ${JSON.stringify(times(60, 60))}) {
      const pool = await Pool.create({ threads: 4 })
      const shape = { inFeatures: 4, outFeatures: 3 }
      const made = Linear.fromInt8(pool, new Int8Array(12), 1, shape)
      made.then((layer) => layer.forward(new Float32Array(4))).catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, millis))
      await pool.close()
    }`
  expect(await runScript(source)).toEqual({ code: 0, stdout: '', stderr: '' })
})

/*
 * Threads that die as they start, in processes of their own: Node itself may abort, and that counts as an end like any
 * other here. The test fails only if nothing happens.
 */
describe.skipIf(scripted)(`a worker thread that cannot start${why}`, () => {
  it('makes Pool.create reject with a PoolBrokenError', async () => {
    const { code, stdout } = await runScript(`
      import { Pool } from 'dotpool'
      process.on('worker', (worker) => worker.terminate())
      await Pool.create({ threads: 2 }).catch((error) => console.log(error.code))
      process.exit(0)`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ERR_DOTPOOL_POOL_BROKEN\n' })
  })

  it('does not harm a pool that is closed meanwhile', async () => {
    // Node aborts the whole process if a thread is terminated while it loads the library
    const { code, stdout, stderr } = await runScript(`
      import { Linear, Pool } from 'dotpool'
      const up = new Set()
      process.on('worker', (worker) => {
        worker.on('message', (message) => typeof message === 'number' && up.add(worker))
        worker.on('exit', () => up.delete(worker))
      })
      for (let i = 0; i < 2; i++) {
        const pool = await Pool.create({ threads: 10 })
        const layer = await Linear.fromInt8(pool, new Int8Array(12), 1, { inFeatures: 4, outFeatures: 3 })
        await Promise.all([...up].map((worker) => worker.terminate()))
        await layer.forward(new Float32Array(4))
        await pool.close()
      }
      console.log('closed')`)
    expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: 'closed\n' })
  })

  it('after another died does not leave calls waiting for ever', async () => {
    const { code, stdout } = await runScript(`
      import { Linear, Pool } from 'dotpool'
      const threads = new Set()
      let doomed = false
      process.on('worker', (worker) => {
        threads.add(worker)
        if (doomed) worker.terminate()
      })
      const pool = await Pool.create({ threads: 2 })
      const layer = await Linear.fromInt8(pool, new Int8Array(12), 1, { inFeatures: 4, outFeatures: 3 })
      doomed = true
      await Promise.all([...threads].map((worker) => worker.terminate()))
      doomed = false
      for (let i = 0; i < 3; i++) await layer.forward(new Float32Array(4)).catch((error) => console.log(error.code))
      console.log('goes on')
      process.exit(0)`)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^(ERR_DOTPOOL_(WORKER_DIED|POOL_BROKEN)\n)*goes on\n$/)
  })
})

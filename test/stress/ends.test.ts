import { describe, expect, it } from 'vitest'
import { runScript } from '../support/child.js'
import { scripted, why } from '../support/isas.js'
import { randomNumbers } from '../support/random.js'

/* Threads that are ended at any moment of their start, which Node and koffi answer by an abort unless it is well chosen. */

/** Times after which something happens, milliseconds: the same on every run. */
function times(count: number, most: number): number[] {
  const random = randomNumbers(count)
  return Array.from({ length: count }, () => Math.floor(random() * most))
}

/** Closes a pool, so many times, while threads start in the place of those that died. */
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

it('while threads run TypeScript for the first time, a pool can be closed', async () => {
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

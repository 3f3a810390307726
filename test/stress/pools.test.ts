import { expect, it } from 'vitest'
import { runScript } from '../support/child.js'

it('a hundred pools, four at a time, leave no threads, handles or memory behind', async () => {
  const { code, stdout, stderr } = await runScript(
    `
    import { readdirSync } from 'node:fs'
    import { Linear, Pool } from 'dotpool'
    const made = []
    const cycle = async () => {
      const pool = await Pool.create({ threads: 1 })
      const layer = await Linear.fromInt8(pool, new Int8Array(64), 1, { inFeatures: 8, outFeatures: 8 })
      await layer.forward(new Float32Array(80))
      await pool.close()
      made.push(new WeakRef(pool), new WeakRef(layer.tiles.buffer))
    }
    const look = async () => {
      for (let i = 0; i < 20; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10))
        gc()
      }
      const threads = process.platform === 'linux' ? readdirSync('/proc/self/task').length : 0
      return { threads, resources: process.getActiveResourcesInfo().length, rss: process.memoryUsage.rss() }
    }
    const cycles = async (times) => {
      for (let i = 0; i < times; i++) await Promise.all([cycle(), cycle(), cycle(), cycle()])
    }
    await cycles(5)
    const before = await look()
    await cycles(20)
    const after = await look()
    console.log(JSON.stringify({
      threads: after.threads - before.threads,
      resources: after.resources - before.resources,
      alive: made.filter((ref) => ref.deref() !== undefined).length,
      megabytes: (after.rss - before.rss) / 2 ** 20,
    }))`,
    // one malloc arena for all threads: otherwise the kept memory depends on which thread freed it
    { flags: ['--expose-gc'], env: { MALLOC_ARENA_MAX: '1' } },
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { threads, resources, alive, megabytes } = JSON.parse(stdout)
  expect({ threads, resources }).toEqual({ threads: 0, resources: 0 })
  // the last ones may still be on the stack
  expect(alive).toBeLessThan(10)
  // a thread takes some five megabytes: eighty leaked threads would show
  expect(megabytes).toBeLessThan(200)
})

it('a pool forgets its threads that died', async () => {
  const { code, stdout, stderr } = await runScript(
    `
    import { Linear, Pool } from 'dotpool'
    const died = []
    let serve
    process.on('worker', (worker) => {
      // Node aborts if a thread is ended while it loads the library; this message says that it has
      worker.on('message', (message) => typeof message === 'number' && serve(new WeakRef(worker)))
    })
    const serving = () => new Promise((resolve) => { serve = resolve })
    let next = serving()
    const pool = await Pool.create({ threads: 1 })
    const layer = await Linear.fromInt8(pool, new Int8Array(64), 1, { inFeatures: 8, outFeatures: 8 })
    for (let i = 0; i < 12; i++) {
      const call = layer.forward(new Float32Array(80)).catch(() => {})
      died.push(await next)
      next = serving()
      await died.at(-1).deref().terminate()
      await call
    }
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      gc()
    }
    console.log(died.filter((ref) => ref.deref() !== undefined).length)
    await pool.close()`,
    { flags: ['--expose-gc'] },
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  // the last one may still be on the stack
  expect(Number(stdout)).toBeLessThan(3)
})

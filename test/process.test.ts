import { describe, expect, it } from 'vitest'
import { runScript } from './support/child.js'
import { isas } from './support/isas.js'

/*
 * How a program with a pool ends. The limits are far above what it takes and far below a hang, or the end
 * of the long call, which takes seconds.
 */

const setUp = (options = '{ threads: 2 }') => `
  import { Linear, Pool } from 'dotpool'
  const shape = { inFeatures: 512, outFeatures: 640 }
  const start = async (options, isa = 'scalar') => {
    process.env.DOTPOOL_ISA = isa
    const pool = await Pool.create(options)
    const layer = await Linear.fromInt8(pool, new Int8Array(512 * 640), 1, shape)
    await layer.forward(new Float32Array(512))
    return { pool, layer }
  }
  const { pool, layer } = await start(${options})
  const long = () => layer.forward(pool.tensor('float32', [40000, 512]))
`

describe('a program that forgets to close its pool', () => {
  it.each([
    [
      'on any kernels',
      `for (const isa of ${JSON.stringify(isas)}) await start({ threads: 2 }, isa)`,
    ],
    ['with more threads than cores', 'await start({ threads: 16 })'],
    ['with workers that never spin', 'await start({ threads: 2, spinMicros: 0 })'],
    ['with workers that spin for long', 'await start({ threads: 2, spinMicros: 50_000 })'],
    ['that was never used', 'await Pool.create({ threads: 2 })'],
    [
      'after blocking calls',
      'for (const rows of [1, 2]) layer.forwardSync(new Float32Array(512 * rows))',
    ],
    [
      'after calls that nobody awaits',
      'for (let i = 0; i < 99; i++) layer.forward(new Float32Array(512))',
    ],
  ])('%s ends by itself', async (_, last) => {
    const { code, stderr, millis } = await runScript(setUp() + last, { limit: 5000 })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(millis).toBeLessThan(2000)
  })
})

describe('in the middle of a call', () => {
  const now = 'process.stdout.write(String(Date.now()))'

  it('process.exit() is prompt and has its code', async () => {
    const source = `${setUp()}
      long()
      setTimeout(() => { ${now}; process.exit(7) }, 50)`
    const { code, stdout, stderr } = await runScript(source)
    expect({ code, stderr }).toEqual({ code: 7, stderr: '' })
    expect(Date.now() - Number(stdout)).toBeLessThan(1000)
  })

  it('an uncaught exception ends the process', async () => {
    const source = `${setUp()}
      long()
      setTimeout(() => { ${now}; throw new Error('out of luck') }, 50)`
    const { code, stdout, stderr } = await runScript(source)
    expect(code).toBe(1)
    expect(stderr).toContain('out of luck')
    expect(Date.now() - Number(stdout)).toBeLessThan(1000)
  })

  it('close() is prompt', async () => {
    const source = `${setUp()}
      const call = long().catch((error) => error.code)
      setTimeout(async () => {
        const start = Date.now()
        await pool.close()
        console.log(await call, Date.now() - start < 1000)
      }, 50)`
    const { code, stdout } = await runScript(source)
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ERR_DOTPOOL_POOL_CLOSED true\n' })
  })
})

describe('idle pools', () => {
  it('burn no CPU', async () => {
    const source = `${setUp()}
      const eager = await start({ threads: 2, spinMicros: 50_000 })
      const lazy = await start({ threads: 2, spinMicros: 0 })
      for (const { layer } of [eager, lazy]) layer.forwardSync(new Float32Array(512))
      await new Promise((resolve) => setTimeout(resolve, 200))
      const before = process.cpuUsage()
      await new Promise((resolve) => setTimeout(resolve, 300))
      const { user, system } = process.cpuUsage(before)
      console.log((user + system) / 1000)`
    const { code, stdout } = await runScript(source, { limit: 5000 })
    expect(code).toBe(0)
    // one thread that spins would take 300
    expect(Number(stdout)).toBeLessThan(60)
  })
})

describe('idle workers that are let go', () => {
  it('in the very moment of a call do not come to share a seat', async () => {
    // two threads on one seat use the same memory: now and then results are wrong, silently
    const { code, stdout, stderr } = await runScript(`
      // the pool lets idle workers go from a timer: this one goes off when the script says so
      let letGo
      globalThis.setInterval = (callback) => {
        letGo = callback
        return { unref() { return this } }
      }
      const { Linear, Pool } = await import('dotpool')
      const pool = await Pool.create({ threads: 2 })
      const layer = await Linear.fromInt8(pool, new Int8Array(64), 1, { inFeatures: 8, outFeatures: 8 })
      const x = new Float32Array(8)
      const pause = () => new Promise((resolve) => setTimeout(resolve, 10))
      const { notify } = Atomics
      const sleepers = []
      for (let round = 0; round < 5; round++) {
        await layer.forward(x)
        await pause()
        // one worker wakes at once, the other only after the next call has come
        const seats = []
        Atomics.notify = (...args) => (seats.push(args) === 1 ? 0 : notify(...args))
        letGo()
        letGo()
        Atomics.notify = notify
        const end = performance.now() + 2
        while (performance.now() < end);
        const call = layer.forward(x)
        for (const seat of seats.slice(0, 1)) notify(...seat)
        await call
        await pause()
        // a spare wake-up does no harm, and tells how many sleep on a seat
        for (const [words, seat] of seats) sleepers.push(notify(words, seat))
        await pause()
      }
      console.log(sleepers.join())
      process.exit()`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    // on a busy machine some are not asleep yet
    expect(Math.max(...stdout.split(',').map(Number))).toBe(1)
  })
})

describe('a hundred pools, four at a time', () => {
  it('leave no threads, handles or memory behind', async () => {
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
        for (let i = 0; i < 3; i++) {
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
      // one arena for all threads: otherwise what malloc keeps depends on which thread freed it
      { flags: ['--expose-gc'], env: { MALLOC_ARENA_MAX: '1' }, limit: 25_000 },
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { threads, resources, alive, megabytes } = JSON.parse(stdout)
    expect({ threads, resources }).toEqual({ threads: 0, resources: 0 })
    // the last ones may still be on the stack
    expect(alive).toBeLessThan(10)
    // a thread takes some five megabytes: eighty of them kept would be seen
    expect(megabytes).toBeLessThan(200)
  })
})

import { describe, expect, it } from 'vitest'
import { runScript } from './support/child.js'
import { isas, scripted, why } from './support/isas.js'
import { slowIsa } from './support/threads.js'

/*
 * How a program with a pool ends: by itself, before calls that take seconds, and without a hang (a process that hangs
 * is killed).
 */

const setUp = (options = '{ threads: 2 }') => `
  import { Linear, Pool } from 'dotpool'
  const shape = { inFeatures: 512, outFeatures: 640 }
  const start = async (options, isa = '${slowIsa}') => {
    process.env.DOTPOOL_ISA = isa
    const pool = await Pool.create(options)
    const layer = await Linear.fromInt8(pool, new Int8Array(512 * 640), 1, shape)
    await layer.forward(new Float32Array(512))
    return { pool, layer }
  }
  const { pool, layer } = await start(${options})
  /** Begins a call that takes seconds; resolves once workers run it. */
  const long = async () => {
    const x = pool.tensor('float32', [40_000, 512])
    pool.resetStats()
    const call = layer.forward(x).then(() => console.log('done'), (error) => console.log(error.code))
    while (${!scripted} && pool.stats().units === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return { call }
  }
`

describe.concurrent('a program that forgets to close its pool', () => {
  it.each([
    [
      'with all kernels',
      `for (const isa of ${JSON.stringify(isas)}) await start({ threads: 1 }, isa)`,
    ],
    ['with more threads than cores', 'await start({ threads: 16 })'],
    [
      'with workers that never spin, or for long',
      'for (const spinMicros of [0, 50_000]) await start({ threads: 2, spinMicros })',
    ],
    ['that was never used', 'await Pool.create({ threads: 2 })'],
    [
      'after calls that block, and calls that are not awaited',
      `for (const rows of [1, 2]) layer.forwardSync(new Float32Array(512 * rows))
      for (let i = 0; i < 99; i++) layer.forward(new Float32Array(512))`,
    ],
  ])('%s ends by itself', async (_, last) => {
    const { code, stderr } = await runScript(setUp() + last)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe.concurrent('during a call', () => {
  it('process.exit() ends the process with its code', async () => {
    const source = `${setUp()}
      await long()
      process.exit(7)`
    expect(await runScript(source)).toEqual({ code: 7, stdout: '', stderr: '' })
  })

  it('an uncaught exception ends the process', async () => {
    const source = `${setUp()}
      await long()
      setImmediate(() => { throw new Error('out of luck') })`
    const { code, stdout, stderr } = await runScript(source)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('out of luck')
  })

  it('close() rejects it', async () => {
    const source = `${setUp()}
      const { call } = await long()
      await pool.close()
      await call`
    const expected = { code: 0, stdout: 'ERR_DOTPOOL_POOL_CLOSED\n', stderr: '' }
    expect(await runScript(source)).toEqual(expected)
  })
})

describe('while threads start', () => {
  it('process.exit() ends the process with its code', async () => {
    // at once, while they load, and when all are up
    for (const [threads, millis] of [
      [2, 0],
      [4, 30],
      [4, 60],
      [2, 300],
    ]) {
      const source = `
        import { Pool } from 'dotpool'
        Pool.create({ threads: ${threads} })
        setTimeout(() => process.exit(7), ${millis})`
      expect(await runScript(source)).toEqual({ code: 7, stdout: '', stderr: '' })
    }
  })
})

describe('idle pools', () => {
  it('burn no CPU', async () => {
    // ends with the first 300 ms of almost no CPU time: a spinning thread would take all of it
    const source = `${setUp()}
      const eager = await start({ threads: 2, spinMicros: 50_000 })
      const lazy = await start({ threads: 2, spinMicros: 0 })
      for (const { layer } of [eager, lazy]) layer.forwardSync(new Float32Array(512))
      for (;;) {
        const before = process.cpuUsage()
        await new Promise((resolve) => setTimeout(resolve, 300))
        const { user, system } = process.cpuUsage(before)
        if (user + system < 60_000) process.exit()
      }`
    const { code } = await runScript(source)
    expect(code).toBe(0)
  })
})

describe.skipIf(scripted)(`releasing idle workers${why}`, () => {
  it('at the moment of a call never puts two on one seat', async () => {
    // two threads on one seat use the same memory: some results would be wrong, silently
    const { code, stdout, stderr } = await runScript(`
      // the pool releases idle workers from a timer: this one fires when the script says so
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
      // on a busy machine some are not asleep yet
      while (sleepers.filter((count) => count > 0).length < 5) {
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
        // a spare wake-up does no harm, and counts the threads that sleep on a seat
        for (const [words, seat] of seats) sleepers.push(notify(words, seat))
        await pause()
      }
      console.log(sleepers.join())
      process.exit()`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(Math.max(...stdout.split(',').map(Number))).toBe(1)
  })
})

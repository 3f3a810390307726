import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ArgumentError, Linear, LinearGroup, Pool, Tensor } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cgroupQuota } from '#src/cpus/cgroup-quota.js'
import { usableCpus, usableThreads } from '#src/cpus/usable.js'
import { meetingProgram } from '#src/measure/region.js'
import { createPool, isas, scripted, why } from './support/isas.js'
import { errorOf, pause, slowIsa, threadCount, until } from './support/threads.js'

const shape = { inFeatures: 9, outFeatures: 70 }

describe('Pool.create', () => {
  it('starts as many threads as asked for, by default as many as may run', async () => {
    for (const threads of [1, 3]) {
      await using pool = await Pool.create({ threads })
      expect(pool.threads).toBe(threads)
      // TypeScript's threads start when they are first needed
      const layer = await Linear.fromInt8(pool, new Int8Array(630), 1, shape)
      await layer.forward(new Float32Array(shape.inFeatures))
      await until(() => threadCount() === threads)
      expect(String(pool)).toBe(`Pool(threads=${threads}, isa=${pool.isa})`)
    }
    await using pool = await Pool.create()
    expect(pool.threads).toBe(usableThreads())
  })

  it('refuses kernels that this machine cannot run', async () => {
    const error = await errorOf(createPool('quantum'))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error).toMatchObject({ argument: 'DOTPOOL_ISA', got: '"quantum"' })
    for (const isa of isas) expect((error as ArgumentError).expected).toContain(isa)
  })
})

describe('stats', () => {
  it.each(isas)('count regions, units and bytes until they are reset, on %s', async (isa) => {
    await using pool = await createPool(isa, { threads: 2 })
    const layer = await Linear.fromInt8(pool, new Int8Array(630), 1, shape)
    pool.resetStats()
    const nothing = { regions: 0, busyMicros: 0, units: 0, weightBytes: 0 }
    expect(pool.stats()).toMatchObject(nothing)
    for (let i = 0; i < 10; i++) await layer.forward(new Float32Array(9))
    const stats = pool.stats()
    expect(stats.workers.length).toBe(2)
    expect(stats.regions).toBeGreaterThan(0)
    expect(stats.busyMicros).toBeGreaterThan(0)
    if (isa !== 'typescript') {
      // five columns of sixteen channels, three quads of k
      expect(stats.units).toBe(50)
      expect(stats.weightBytes).toBe(10 * 80 * 12)
    }
    for (const field of ['regions', 'busyMicros', 'units', 'weightBytes', 'waitMicros'] as const) {
      const parts = [...stats.workers, stats.caller].map((worker) => worker[field])
      expect(stats[field]).toBeCloseTo(
        parts.reduce((a, b) => a + b),
        3,
      )
    }
    pool.resetStats()
    expect(pool.stats().units).toBe(0)
  })

  it.skipIf(scripted)(`count the share of a forwardSync caller${why}`, async () => {
    await using pool = await Pool.create({ threads: 1 })
    const layer = await Linear.fromInt8(pool, new Int8Array(630), 1, shape)
    pool.resetStats()
    layer.forwardSync(new Float32Array(9))
    const { caller, workers } = pool.stats()
    expect(caller).toMatchObject({ units: 5, weightBytes: 960 })
    expect(caller.regions).toBeGreaterThan(0)
    expect(workers[0].units).toBe(0)
  })

  it.skipIf(scripted)(
    `count the share of a forward caller while it awaits, where no core is free${why}`,
    async () => {
      // every thread has units that no other can claim
      const tilesOf = async (threads: number) => {
        await using pool = await Pool.create({ threads })
        for (let i = 0; i < 100; i++) await pool.run(meetingProgram)
        expect(pool.stats().units).toBe(100 * threads)
        return pool.stats().caller.units
      }
      expect(await tilesOf(usableCpus())).toBeGreaterThan(0)
      if (usableCpus() > 1) expect(await tilesOf(usableCpus() - 1)).toBe(0)
    },
  )

  it('stay readable after close', async () => {
    const pool = await Pool.create({ threads: 1 })
    const layer = await Linear.fromInt8(pool, new Int8Array(630), 1, shape)
    await layer.forward(new Float32Array(9))
    await pool.close()
    expect(pool.stats().regions).toBeGreaterThan(0)
  })
})

describe('toString', () => {
  it('tells sizes', async () => {
    await using pool = await Pool.create({ threads: 1 })
    const bias = new Float32Array(70)
    const layer = await Linear.fromInt8(pool, new Int8Array(630), 1, { ...shape, bias })
    expect(String(layer)).toBe('Linear(in_features=9, out_features=70, bias=true, dtype=int8)')
    expect(String(new LinearGroup([layer, layer]))).toBe(
      'LinearGroup(in_features=9, out_features=[70, 70], dtype=int8)',
    )
    expect(String(new Tensor('int8', new Int8Array(6), [2, 3]))).toBe('Tensor(int8, [2, 3])')
  })
})

describe('a pool in a worker thread', () => {
  const run = (source: string, workerData = {}) => {
    const entry = import.meta.resolve('dotpool')
    return new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
       import(${JSON.stringify(entry)}).then(async ({ Linear, Pool }) => { ${source} })`,
      { eval: true, workerData },
    )
  }

  it('serves forward and forwardSync', async () => {
    const worker = run(`
      const pool = await Pool.create({ threads: 2 })
      const weight = new Int8Array(640).fill(2)
      const layer = await Linear.fromInt8(pool, weight, 1, { inFeatures: 10, outFeatures: 64 })
      const x = new Float32Array(30).fill(127)
      const results = [layer.forwardSync(x), await layer.forward(x), layer.forwardSync(x)]
      await pool.close()
      parentPort.postMessage(results.map((y) => y.every((value) => value === 2540)))`)
    // requested before the answer is awaited: a thread that ends at once has both events in one turn
    const exit = once(worker, 'exit')
    const [answer] = await once(worker, 'message')
    expect(answer).toEqual([true, true, true])
    await exit
  })

  it('ends with the thread, even in the middle of a call', async () => {
    const worker = run(`
      process.env.DOTPOOL_ISA = '${slowIsa}'
      const pool = await Pool.create({ threads: 2 })
      const layer = await Linear.fromInt8(pool, new Int8Array(327680), 1, { inFeatures: 512, outFeatures: 640 })
      layer.forward(new Float32Array(512 * 4000))
      parentPort.postMessage('runs')`)
    await once(worker, 'message')
    await pause(20)
    await worker.terminate()
    await using pool = await Pool.create({ threads: 1 })
    const layer = await Linear.fromInt8(pool, new Int8Array(630), 1, shape)
    expect((await layer.forward(new Float32Array(9))).length).toBe(70)
  })
})

describe('the default number of threads', () => {
  let root: string
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'dotpool-cgroup-'))
  })
  afterAll(() => rmSync(root, { recursive: true }))

  /** The quota in files, given by their paths below the control groups' folder. */
  const quota = (membership: string, files: Record<string, string>) => {
    const folder = mkdtempSync(join(root, 'case-'))
    const path = (name: string) => join(folder, name)
    for (const [name, text] of Object.entries({ ...files, membership })) {
      mkdirSync(dirname(path(name)), { recursive: true })
      writeFileSync(path(name), text)
    }
    return cgroupQuota(folder, path('membership'))
  }

  it('is at least one and at most what the CPU affinity allows', () => {
    expect(usableThreads()).toBeGreaterThanOrEqual(1)
    expect(usableThreads()).toBeLessThanOrEqual(availableParallelism())
  })

  it('obeys the quota of cgroup v2', () => {
    expect(quota('0::/\n', { 'cpu.max': '150000 100000\n' })).toBe(1.5)
    expect(quota('0::/app\n', { 'app/cpu.max': '400000 100000\n' })).toBe(4)
    expect(quota('0::/app\n', { 'app/cpu.max': 'max 100000\n' })).toBe(Infinity)
  })

  it('obeys the least quota of all parent groups', () => {
    const files = {
      'a/cpu.max': '200000 100000\n',
      'a/b/cpu.max': 'max 100000\n',
      'a/b/c/cpu.max': '300000 100000\n',
    }
    expect(quota('0::/a/b/c\n', files)).toBe(2)
    expect(quota('0::/a/b/c\n', { ...files, 'cpu.max': '100000 100000' })).toBe(1)
  })

  it('obeys the quota of cgroup v1', () => {
    const membership = '12:pids:/x\n4:cpu,cpuacct:/app\n1:name=systemd:/y\n0::/z\n'
    const app = (limit: string) => ({
      'cpu/app/cpu.cfs_quota_us': limit,
      'cpu/app/cpu.cfs_period_us': '100000\n',
    })
    expect(quota(membership, app('250000\n'))).toBe(2.5)
    expect(quota(membership, app('-1\n'))).toBe(Infinity)
    expect(quota('4:cpuset:/app\n', app('250000\n'))).toBe(Infinity)
  })

  it('obeys cgroup v1 in a container, which sees its own group as the root', () => {
    const files = { 'cpu/cpu.cfs_quota_us': '50000\n', 'cpu/cpu.cfs_period_us': '100000\n' }
    expect(quota('4:cpu,cpuacct:/\n', files)).toBe(0.5)
    expect(quota('4:cpu,cpuacct:/docker/0123abcd\n', files)).toBe(0.5)
  })

  it('ignores missing and malformed files', () => {
    expect(quota('', {})).toBe(Infinity)
    expect(quota('0::/gone\n', {})).toBe(Infinity)
    expect(quota('0::/\n', { 'cpu.max': 'lots\n' })).toBe(Infinity)
    expect(quota('0::/\n', { 'cpu.max': '0 0\n' })).toBe(Infinity)
    expect(cgroupQuota('/nowhere', '/nowhere/either')).toBe(Infinity)
  })
})

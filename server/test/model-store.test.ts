import type { Model } from 'dotpool'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Lease, ModelStore, type ModelStoreOptions } from '#server/index.js'
import { openable } from './support.js'

const { signal } = new AbortController()

/** Loaders of models of so many bytes that do nothing; counts what they do. */
function loadersOf(sizes: Record<string, number>, wait: () => Promise<void> = async () => {}) {
  const loads: string[] = []
  const alive = new Map<string, Model>()
  const models = new Map(
    Object.entries(sizes).map(([name, bytes]) => {
      const load = async () => {
        loads.push(name)
        await wait()
        const model = { maxContext: 64, dispose: () => alive.delete(name) } as unknown as Model
        alive.set(name, model)
        return model
      }
      return [name, { bytes, maxContext: 64, load }]
    }),
  )
  return { models, loads, alive }
}

async function storeOf(sizes: Record<string, number>, options?: ModelStoreOptions) {
  const made = loadersOf(sizes)
  const store = new ModelStore(made.models, options)
  await store.ready
  return { ...made, store }
}

/** Uses a model for a moment. */
async function use(store: ModelStore, name: string): Promise<void> {
  const lease = await store.acquire(name, signal)
  lease[Symbol.dispose]()
}

describe('a store of models', () => {
  it('loads those that fit at first', async () => {
    const { store, loads } = await storeOf({ a: 4, b: 7, c: 6 }, { memoryBytes: 10 })
    expect(loads).toEqual(['a', 'c'])
    expect([...store.loaded.keys()]).toEqual(['a', 'c'])
    expect(store.info('b')).toEqual({ name: 'b', status: 'unloaded', maxContext: 64, waiting: 0 })
  })

  it('unloads what was not used for longest', async () => {
    const { store, alive } = await storeOf({ a: 4, b: 4, c: 4 }, { memoryBytes: 8 })
    await use(store, 'b')
    await use(store, 'a')
    await use(store, 'c')
    expect([...alive.keys()]).toEqual(['a', 'c'])
    expect([...store.loaded.keys()]).toEqual(['a', 'c'])
  })

  it('unloads none in vain, where there would be no room all the same', async () => {
    const { store, alive } = await storeOf({ a: 4, b: 4, c: 8 }, { memoryBytes: 8 })
    using _lease = await store.acquire('a', signal)
    await expect(store.acquire('c', signal)).rejects.toMatchObject({
      statusCode: 503,
      retryAfterSeconds: 5,
    })
    expect([...alive.keys()]).toEqual(['a', 'b'])
  })

  it('loads once for all who ask meanwhile, also after some have left', async () => {
    const gate = openable()
    const { models, loads } = loadersOf({ a: 4, b: 4 }, async () => {
      if (loads.length > 1) await gate.opened
    })
    const store = new ModelStore(models, { memoryBytes: 4 })
    await store.ready
    const leaving = new AbortController()
    const left = store.acquire('b', leaving.signal)
    const others = [store.acquire('b', signal), store.acquire('b', signal)]
    expect(store.info('b')).toMatchObject({ status: 'loading', waiting: 3 })
    leaving.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    gate.open()
    const leases = await Promise.all(others)
    expect(loads).toEqual(['a', 'b'])
    expect(leases[0].model).toBe(leases[1].model)
    // they use it still
    await expect(store.acquire('a', signal)).rejects.toThrow('there is no memory for the model a')
    for (const lease of leases) lease[Symbol.dispose]()
    await use(store, 'a')
  })

  it('tells a failure to those who wait, and tries again for the next', async () => {
    let fails = false
    const { models } = loadersOf({ a: 4, b: 4 }, async () => {
      if (fails) throw new Error('/secret is broken')
    })
    const store = new ModelStore(models, { memoryBytes: 4 })
    await store.ready
    fails = true
    const failures = await Promise.allSettled([
      store.acquire('b', signal),
      store.acquire('b', signal),
    ])
    for (const failure of failures) {
      expect(failure).toMatchObject({
        reason: {
          statusCode: 503,
          code: 'model_load_failed',
          message: expect.not.stringContaining('secret'),
        },
      })
    }
    fails = false
    await use(store, 'b')
  })

  it('bounds those who wait for a model', async () => {
    const gate = openable()
    const { models, loads } = loadersOf({ a: 4, b: 4 }, async () => {
      if (loads.length > 1) await gate.opened
    })
    const store = new ModelStore(models, { memoryBytes: 4, maxWaiting: 1 })
    await store.ready
    const first = store.acquire('b', signal)
    await expect(store.acquire('b', signal)).rejects.toMatchObject({ statusCode: 429 })
    gate.open()
    ;(await first)[Symbol.dispose]()
    await use(store, 'b')
  })

  it('refuses a model that alone does not fit', async () => {
    const { ready } = new ModelStore(loadersOf({ a: 11 }).models, { memoryBytes: 10 })
    await expect(ready).rejects.toThrow(
      'memoryBytes: expected at least 11 bytes, which a takes, got 10',
    )
  })

  it('is not ready where a model cannot be loaded at first', async () => {
    const { models } = loadersOf({ a: 1 }, () => Promise.reject(new Error('broken')))
    const store = new ModelStore(models)
    await expect(store.ready).rejects.toThrow('broken')
    expect(store.isReady).toBe(false)
  })

  it('unloads one that is idle when it is told to, and no other', async () => {
    const { store, alive } = await storeOf({ a: 4 })
    const lease = await store.acquire('a', signal)
    expect(() => store.unload('a')).toThrow('the model a is in use')
    lease[Symbol.dispose]()
    store.unload('a')
    store.unload('a')
    expect(alive.size).toBe(0)
    const kept = new ModelStore({ a: { maxContext: 1 } as Model })
    expect(() => kept.unload('a')).toThrow('the model a is always loaded')
  })

  it('keeps within its memory and never unloads what is in use, whatever is asked for', async () => {
    const names = ['a', 'b', 'c', 'd']
    const sizes = fc.tuple(...names.map(() => fc.integer({ min: 1, max: 10 })))
    const step = fc.record({
      name: fc.constantFrom(...names),
      what: fc.constantFrom('acquire', 'release', 'unload'),
    })
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(step, { maxLength: 40 }), async (given, steps) => {
        const bytes: Record<string, number> = Object.fromEntries(names.map((n, i) => [n, given[i]]))
        const { store, alive } = await storeOf(bytes, { memoryBytes: 12 })
        const leases: { name: string; lease: Lease }[] = []
        for (const { name, what } of steps) {
          const at = leases.findIndex((held) => held.name === name)
          const inUse = new Set(leases.map((held) => held.name))
          if (what === 'acquire') {
            const needed = [...inUse.add(name)].reduce((sum, n) => sum + bytes[n], 0)
            const lease = await store.acquire(name, signal).catch(() => undefined)
            expect(lease !== undefined).toBe(needed <= 12)
            if (lease !== undefined) leases.push({ name, lease })
          } else if (what === 'release' && at >= 0) leases.splice(at, 1)[0].lease[Symbol.dispose]()
          else if (what === 'unload' && at < 0) store.unload(name)
          const taken = [...alive.keys()].reduce((sum, n) => sum + bytes[n], 0)
          expect(taken).toBeLessThanOrEqual(12)
          for (const { name, lease } of leases) expect(alive.get(name)).toBe(lease.model)
        }
      }),
    )
  })
})

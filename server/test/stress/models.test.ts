import { Model, Pool } from 'dotpool'
import { expect, it } from 'vitest'
import { ModelStore } from '#server/index.js'
import { fixture, post, start } from '../support.js'

/** How much more memory later swaps may take at most than the first ones, bytes: noise of the heap and of malloc. */
const NOISE = 64e6

it('models that take turns for the same memory take no more of it in the end', async () => {
  const pool = await Pool.create({ threads: 2 })
  const loader = {
    bytes: 1,
    maxContext: 1024,
    load: () => Model.load(pool, fixture, { kvBytes: 20e6 }),
  }
  const store = new ModelStore({ a: loader, b: loader }, { memoryBytes: 1 })
  await store.ready
  await using server = await start(store)
  /** The most memory that the process takes over so many swaps. */
  const swap = async (times: number): Promise<number> => {
    let most = 0
    for (let i = 0; i < times; i++) {
      const body = { model: i % 2 === 0 ? 'b' : 'a', prompt: 'A', max_tokens: 2 }
      expect((await post(`${server.url}/v1/completions`, body)).status).toBe(200)
      most = Math.max(most, process.memoryUsage.rss())
    }
    return most
  }
  const before = await swap(40)
  expect((await swap(40)) - before).toBeLessThan(NOISE)
  await pool.close()
}, 300_000)

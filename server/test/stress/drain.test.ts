import { setTimeout } from 'node:timers/promises'
import { Pool } from 'dotpool'
import { expect, it } from 'vitest'
import { eventsOf } from '../openapi.js'
import { loadModel, post, scripted, start } from '../support.js'

it('a closing server finishes an answer that takes longer than any timeout of fastify', async () => {
  const pool = await Pool.create({ threads: 1 })
  const slow = scripted(await loadModel(pool), 'a text', setTimeout(12_000))
  const server = await start({ slow })
  const running = await post(`${server.url}/v1/completions`, { prompt: 'A', stream: true })
  const closing = server.close()
  const events = eventsOf(await running.text()).map((event) => JSON.parse(event))
  expect(events.map(({ choices }) => choices[0].text).join('')).toBe('a text')
  await closing
  await pool.close()
}, 60_000)

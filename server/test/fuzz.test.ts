import { Pool } from 'dotpool'
import { expect, it } from 'vitest'
import { fuzz } from './fuzz.js'
import { loadModel, start } from './support.js'

it('any body gets an answer or a 4xx in OpenAI’s shape', async () => {
  const pool = await Pool.create({ threads: 1 })
  await using server = await start({ model: await loadModel(pool) })
  const checked = await fuzz(server.url, 150)
  expect(checked).toContain('POST /v1/completions 200 application/json')
  expect(checked).toContain('POST /v1/responses 200 application/json')
  expect(checked).toContain('POST /v1/embeddings 200 application/json')
  expect(checked).toContain('POST /v1/completions 400 application/json')
  await pool.close()
})

import { Pool } from 'dotpool'
import { it } from 'vitest'
import { fuzz } from '../fuzz.js'
import { loadModel, start } from '../support.js'

it('the server answers any of 20,000 bodies, or refuses it', async () => {
  const pool = await Pool.create()
  await using server = await start({ model: await loadModel(pool) })
  await fuzz(server.url, 20_000)
  await pool.close()
}, 600_000)

import { Model, Pool } from 'dotpool'
import { expect, it } from 'vitest'
import { inProcess, LossyTransport, makeFleet, until } from '../fleet/support.js'
import { fixture, post } from '../support.js'

it('a worker that announces itself but never answers is given up', async () => {
  const pool = await Pool.create({ threads: 1 })
  const model = await Model.load(pool, fixture)
  const connect = inProcess()
  const mute = new LossyTransport(connect(), () => true)
  await using fleet = await makeFleet([], connect)
  const first = await fleet.add({ model }, mute)
  await until(() => fleet.gateway.gateway?.workers.size === 1)
  const body = { prompt: 'A', max_tokens: 3, temperature: 0, ignore_eos: true }
  const asking = post(`${fleet.server.url}/v1/completions`, body)
  await until(() => first.worker?.size === 1)
  await fleet.add({ model })
  // it may be sent to the mute one again before it comes to the other
  const answer = await asking
  const { choices } = (await answer.json()) as { choices: { text: string }[] }
  const { text } = await model.generate('A', { maxTokens: 3, ignoreEnd: true }).result
  expect(choices.map((choice) => choice.text)).toEqual([text])
  await pool.close()
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogitsProcessor } from '#src/model/decoder/generate-request.js'
import { Model } from '#src/model/model.js'
import { Pool } from '#src/pool/pool.js'
import { shallowFixture } from '../support/shallow-fixture.js'
import { collect, logitsOf, qwen3Prompts, trace } from './support.js'

let pool: Pool
let model: Model
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
  model = await Model.load(pool, shallowFixture())
})
afterAll(async () => await pool.close())

const [{ promptIds }] = qwen3Prompts()

const run = (processors: LogitsProcessor[], options = {}) =>
  collect(
    model.generateTokens(promptIds, { maxTokens: 12, ignoreEnd: true, processors, ...options }),
  )

describe('a logits processor', () => {
  it('sees the logits of every step, and all tokens so far', async () => {
    const seen: number[][] = []
    const ids = await run([(_, now) => void seen.push([...now])])
    expect(seen).toEqual(ids.map((_, i) => [...promptIds, ...ids.slice(0, i)]))
    expect(ids).toEqual(await run([]))
    const { logits } = await trace(model, promptIds, { maxTokens: 12 })
    const all = await logitsOf(model, [...promptIds, ...ids.slice(0, -1)])
    const first = (promptIds.length - 1) * 2048
    expect(Float32Array.from(logits.flatMap((row) => [...row]))).toEqual(all.slice(first))
  })

  it('can force a token, and ban others', async () => {
    const force: LogitsProcessor = (logits, ids) => {
      logits.fill(-Infinity)
      logits[100 + ids.length] = 0
    }
    for (const sampling of [{}, { temperature: 1 }]) {
      const forced = await run([force], { sampling })
      expect(forced).toEqual(forced.map((_, i) => 100 + promptIds.length + i))
    }
    const greedy = await run([])
    const banned = new Set(greedy)
    const ban: LogitsProcessor = (logits) => {
      for (const id of banned) logits[id] = -Infinity
    }
    for (const sampling of [{}, { temperature: 5 }]) {
      const others = await run([ban], { sampling })
      expect(others.some((id) => banned.has(id))).toBe(false)
    }
  })

  it('receives the logits that the processors before it left', async () => {
    const set: LogitsProcessor = (logits) => void logits.fill(0)
    const choose: LogitsProcessor = (logits) => {
      expect(logits.every((logit) => logit === 0)).toBe(true)
      logits[9] = 1
    }
    expect(await run([set, choose])).toEqual(new Array(12).fill(9))
  })

  it('changes the logits of its own request only', async () => {
    const [greedy, forced] = [await run([]), new Array(12).fill(9)]
    const force: LogitsProcessor = (logits) => {
      logits[9] = Infinity
    }
    expect(await Promise.all([run([]), run([force]), run([])])).toEqual([greedy, forced, greedy])
  })

  it('that throws ends its own request only, with its error', async () => {
    const reason = new Error('no more')
    const given: number[] = []
    const doomed = async () => {
      const throws: LogitsProcessor = (_, ids) => {
        if (ids.length === promptIds.length + 3) throw reason
      }
      for await (const id of model.generateTokens(promptIds, { processors: [throws] }))
        given.push(id)
    }
    const greedy = await run([])
    const other = run([])
    await expect(doomed()).rejects.toBe(reason)
    expect(given).toEqual(greedy.slice(0, 3))
    expect(await other).toEqual(greedy)
    expect(await run([])).toEqual(greedy)
  })

  it('that writes a NaN ends the request with a NotANumberError', async () => {
    const spoil: LogitsProcessor = (logits, ids) => {
      if (ids.length === promptIds.length + 2) logits[7] = Number.NaN
    }
    const spoilt = run([spoil])
    const other = run([])
    await expect(spoilt).rejects.toMatchObject({
      code: 'ERR_DOTPOOL_NOT_A_NUMBER',
      message: `the logits at position ${promptIds.length + 2} contain NaN; check the weights, and what processors write`,
    })
    expect((await other).length).toBe(12)
  })
})

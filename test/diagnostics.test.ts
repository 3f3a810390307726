import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { DiagnosticsMessages, WorkerDeathMessage, WorkerRecoveryMessage } from 'dotpool'
import { describe, expect, it } from 'vitest'
import { createPool } from './support/isas.js'
import { killOldestThread, killThread, slowIsa, slowPool, until } from './support/threads.js'

/** The messages of a channel while this lasts. */
function listen<Name extends keyof DiagnosticsMessages>(name: Name) {
  const messages: DiagnosticsMessages[Name][] = []
  const onMessage = (message: unknown) => {
    messages.push(message as DiagnosticsMessages[Name])
  }
  subscribe(name, onMessage)
  return { messages, [Symbol.dispose]: () => unsubscribe(name, onMessage) }
}

describe('the diagnostics channels of a pool', () => {
  it.each([...new Set([slowIsa, 'typescript'])])(
    'publish the death of a worker, and then its recovery: %s',
    async (isa) => {
      using deaths = listen('dotpool:worker:death')
      using recoveries = listen('dotpool:worker:recovery')
      await using slow = await slowPool(2, isa)
      const call = slow.begin()
      await (isa === 'typescript' ? killOldestThread() : killThread())
      await call()
      await slow.layer.forward(slow.row)
      await until(() => recoveries.messages.length > 0)

      const [death]: WorkerDeathMessage[] = deaths.messages
      expect(death.pool).toBe(slow.pool)
      expect([0, 1]).toContain(death.worker)
      expect(death.cause).toBeInstanceOf(Error)
      const [recovery]: WorkerRecoveryMessage[] = recoveries.messages
      expect(recovery.pool).toBe(slow.pool)
      expect(recovery.worker).toBe(death.worker)
      expect(recovery.millis).toBeGreaterThan(0)
      expect(deaths.messages).toHaveLength(1)
      expect(recoveries.messages).toHaveLength(1)
    },
  )

  it('publish nothing when a pool starts and closes', async () => {
    using deaths = listen('dotpool:worker:death')
    using recoveries = listen('dotpool:worker:recovery')
    const pool = await createPool(slowIsa, { threads: 2 })
    await pool.close()
    expect([...deaths.messages, ...recoveries.messages]).toEqual([])
  })
})

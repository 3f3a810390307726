import { ArgumentError, measureReadBandwidth, type Pool } from 'dotpool'
import { expect, it } from 'vitest'
import { createPool, isas } from './support/isas.js'

/** Bytes per second between which all memory is: that of a slow emulator, and that of many sockets. */
const [LEAST, MOST] = [1e6, 1e14]

it.each([isas[0], 'typescript'])(
  'the read bandwidth is measured on %s, if natively',
  async (isa) => {
    await using pool = await createPool(isa, { threads: 2 })
    const rate = await measureReadBandwidth(pool)
    if (isa === 'typescript') expect(rate).toBeUndefined()
    else expect(LEAST < Number(rate) && Number(rate) < MOST, `${rate}`).toBe(true)
  },
)

it('the read bandwidth is that of a pool', async () => {
  await expect(measureReadBandwidth({} as Pool)).rejects.toThrow(ArgumentError)
})

import os from 'node:os'
import type { Native } from '../native/abi.js'
import { collectGarbage } from '../native/collect-garbage.js'
import { checkPool, type Pool } from '../pool/pool.js'
import { nonZeroMemory, readProbes, TRIALS } from './read-probe.js'
import { summarize } from './samples.js'

// Many times what the caches hold, which grow with the cores: of 128 MiB, a cache of 32 MiB makes half as much again.
const BYTES_PER_THREAD = 64 << 20
const LEAST_BYTES = 512 << 20
const MOST_BYTES = 1 << 30

/** On a machine that is slow or busy, no further trials begin after this time. */
const ENOUGH_MILLIS = 250

/**
 * Measures how fast a pool's threads read memory together: what bounds a decoder, which reads all its weights for each
 * token. It takes about half a second, and for that time 64 MiB of memory for each thread, at least 512 MiB and at most
 * 1 GiB, or a quarter of what is free. What the pool runs meanwhile makes the result too low.
 *
 * @returns bytes per second; undefined where no native code runs
 * @throws ArgumentError, PoolClosedError
 */
export async function measureReadBandwidth(pool: Pool): Promise<number | undefined> {
  checkPool(pool)
  const { native } = pool
  if (native === null) return undefined
  const rate = await fastestRate(pool, native)
  // by itself, V8 does not free shared memory for want of memory
  collectGarbage()
  return rate
}

async function fastestRate(pool: Pool, native: Native): Promise<number> {
  const wanted = Math.min(Math.max(pool.threads * BYTES_PER_THREAD, LEAST_BYTES), MOST_BYTES)
  const memory = nonZeroMemory(native, Math.min(wanted, os.freemem() / 4))
  try {
    const probes = readProbes(native, memory)
    const rates = probes.map((): number[] => [])
    const begun = performance.now()
    for (let i = 0; i < TRIALS && (i === 0 || performance.now() - begun < ENOUGH_MILLIS); i++) {
      for (const [j, probe] of probes.entries()) {
        const start = performance.now()
        await pool.run(probe)
        rates[j].push((probe.amount / (performance.now() - start)) * 1000)
      }
    }
    return Math.max(...rates.map((trials) => summarize(trials).median))
  } finally {
    native.free(memory)
  }
}

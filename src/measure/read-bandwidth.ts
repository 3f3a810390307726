import { checkPool, type Pool } from '../pool/pool.js'
import { nonZeroMemory, readProbes, TRIALS } from './read-probe.js'
import { summarize } from './samples.js'

/*
 * What is read must not stay in the caches, which grow with the cores, and be little enough to be made in a moment.
 */
const BYTES_PER_THREAD = 32 << 20
const LEAST_BYTES = 128 << 20
const MOST_BYTES = 1 << 30

/** On a machine that is busy, no further trials begin after this time. */
const ENOUGH_MILLIS = 250

/**
 * Measures how fast a pool's threads read memory together: what bounds a decoder, which reads all its weights for each
 * token. It takes some tenths of a second, and 32 MiB for each thread, at least 128 MiB and at most 1 GiB. What the
 * pool runs meanwhile makes the result too low.
 *
 * @returns bytes per second; undefined where no native code runs
 * @throws PoolClosedError
 */
export async function measureReadBandwidth(pool: Pool): Promise<number | undefined> {
  checkPool(pool)
  const { native, threads } = pool
  if (native === null) return undefined
  const wanted = Math.min(Math.max(threads * BYTES_PER_THREAD, LEAST_BYTES), MOST_BYTES)
  const memory = nonZeroMemory(native, wanted)
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

import type { Pool } from './pool.js'
import type { Program } from './program.js'

/**
 * Runs ops; settles only when no worker uses their memory any more, also where the signal ends the call before.
 *
 * @returns what an op found wrong, or 0
 */
export async function runToEnd(
  pool: Pool,
  ops: ReturnType<Program['ops']>,
  signal: AbortSignal | undefined,
): Promise<number> {
  let release = () => {}
  const idle = new Promise<void>((resolve) => {
    release = resolve
  })
  const run = pool.run({ ops: () => ops, release }, signal)
  const [outcome] = await Promise.allSettled([run, idle])
  if (outcome.status === 'rejected') throw outcome.reason
  return outcome.value
}

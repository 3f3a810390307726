import { OpKind } from '../native/layout.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import { type Budget, timeSync } from './samples.js'

/** A program of one op that does nothing, which any thread may run alone: the cost of a call. */
export const emptyProgram: Program = {
  ops: () => [{ kind: OpKind.empty }],
}

/** A program with a unit for every thread that no other can claim: the cost of a full region. */
export const meetingProgram: Program = {
  ops: () => [{ kind: OpKind.meet }],
}

/**
 * Durations of regions in which all threads meet, called synchronously, microseconds. One is awaited first: a worker
 * that has become idle meanwhile restarts only while this thread is free to start it.
 */
export async function timeMeetings(pool: Pool, budget: Budget): Promise<number[]> {
  await pool.run(meetingProgram)
  return timeSync(() => pool.runSync(meetingProgram), budget)
}

import { OpKind } from '../../native/layout.js'
import type { Pool } from '../../pool/pool.js'
import type { Program } from '../../pool/program.js'
import { type Budget, timeSync } from './samples.js'

/** A program of one op that does nothing, which any thread may do alone: what a call costs. */
export const emptyProgram: Program = {
  ops: () => [{ kind: OpKind.empty }],
}

/** A program of which every thread has a part that no other takes: what a full region costs. */
export const meetingProgram: Program = {
  ops: () => [{ kind: OpKind.meet }],
}

/**
 * Durations of regions in which all threads meet, called synchronously, microseconds. One is awaited before: a worker
 * that has left meanwhile comes back only while this thread is free to enlist it.
 */
export async function timeMeetings(pool: Pool, budget: Budget): Promise<number[]> {
  await pool.run(meetingProgram)
  return timeSync(() => pool.runSync(meetingProgram), budget)
}

import type { Native } from '../../native.js'
import { sharedArray } from '../../pool/memory.js'
import { OpKind, type Program } from '../../pool/program.js'

/** A program of one op that does nothing, which any thread may do alone: what a call costs. */
export const emptyProgram: Program = {
  native: () => [{ kind: OpKind.empty }],
  script: () => [],
}

/** A program in which every thread waits for all others: what a full region costs. */
export function meetingProgram(native: Native): Program {
  const arrivals = sharedArray('int32', 1)
  return {
    native: () => [{ kind: OpKind.meet, y: native.address(arrivals) }],
    script: () => [],
  }
}

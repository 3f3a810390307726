import { OpKind, type Program } from '../../pool/program.js'

/** A program of one op that does nothing, which any thread may do alone: what a call costs. */
export const emptyProgram: Program = {
  native: () => [{ kind: OpKind.empty }],
  script: () => [],
}

/** A program of which every thread has a part that no other takes: what a full region costs. */
export const meetingProgram: Program = {
  native: () => [{ kind: OpKind.meet }],
  script: () => [],
}

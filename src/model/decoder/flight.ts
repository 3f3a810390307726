import type { DrawOptions } from '../../layouts/pick-rows.js'
import type { Job } from './job.js'
import type { Sequence } from './sequence.js'
import type { Step } from './step.js'

// biome-ignore lint/suspicious/noExplicitAny: what a job comes to is its caller's business
export type AnyJob = Job<any>

/** A sequence's part of a step: the ids [from, from + count) of a job. */
export interface Part {
  readonly sequence: Sequence
  /** Nobody's yet, if it is a row ahead that was not asked for. */
  job: AnyJob | undefined
  readonly from: number
  count: number
  /** The index of the id behind each output, and the output's number. */
  readonly outputs: { i: number; output: number }[]
  /** Set for a row whose id was not drawn yet when it was added: whose next one it is, and the draw. */
  readonly ahead: { after: AnyJob; draw: DrawOptions } | undefined
  /** The sequence has ended. */
  dropped: boolean
}

/** A step under way. */
export interface Flight {
  readonly step: Step
  readonly parts: readonly Part[]
  readonly abort: AbortController
  /** When it was sent off, milliseconds. */
  readonly started: number
  /** Settles, with what went wrong if anything, once no worker runs it. */
  readonly ended: Promise<unknown>
}

/** Sends a step off. */
export function launch(step: Step, parts: readonly Part[]): Flight {
  const abort = new AbortController()
  for (const { sequence, job, count } of parts) {
    sequence.enter()
    if (job !== undefined) job.underWay += count
  }
  const ended = step.run(abort.signal).then(
    () => undefined,
    (error: unknown) => error,
  )
  return { step, parts, abort, started: performance.now(), ended }
}

/** The step has ended, however. */
export function touchDown({ parts }: Flight): void {
  for (const { sequence, job, count } of parts) {
    sequence.leave()
    if (job !== undefined) job.underWay -= count
  }
}

/** Whether anybody waits for it, or may yet. */
export function isWanted({ parts }: Flight): boolean {
  return parts.some(({ job, dropped }) => (job === undefined ? !dropped : !job.settled))
}

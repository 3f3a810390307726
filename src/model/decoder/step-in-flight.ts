import type { Request } from './request.js'
import type { Sequence } from './sequence.js'
import type { Step } from './step.js'

/**
 * A request's rows of a step. They count no more once the request has another sequence, or none, or where the row before
 * them is computed again.
 */
export interface Part {
  readonly request: Request
  readonly sequence: Sequence
  /** The position of its first row. */
  readonly first: number
  /** Rows, from there on. */
  readonly count: number
  /** The positions whose logits are wanted, and their numbers among the step's outputs. */
  readonly outputs: { position: number; index: number }[]
}

/** A step that was launched. */
export interface StepInFlight {
  readonly step: Step
  readonly parts: readonly Part[]
  readonly abort: AbortController
  /** When it was launched, milliseconds. */
  readonly started: number
  /** Settles, with what went wrong if anything, once no worker runs it. */
  readonly ended: Promise<unknown>
}

/** Hands a step to the pool. */
export function launch(step: Step, parts: readonly Part[]): StepInFlight {
  const abort = new AbortController()
  for (const { request, sequence, count } of parts) {
    sequence.enter()
    request.inFlight += count
  }
  const ended = step.run(abort.signal).then(
    () => undefined,
    (error: unknown) => error,
  )
  return { step, parts, abort, started: performance.now(), ended }
}

/** The step has ended, however. */
export function leave({ parts }: StepInFlight): void {
  for (const { sequence } of parts) sequence.leave()
}

/** Whether any of its requests still waits for it. */
export function isWanted({ parts }: StepInFlight): boolean {
  return parts.some(({ request, sequence }) => request.sequence === sequence)
}

/** Whether it computes more than one token of a request: a part of its prompt. */
export function hasPromptOf({ parts }: StepInFlight, request: Request): boolean {
  return parts.some((part) => part.request === request && part.count > 1)
}

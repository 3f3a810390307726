import { whenAborted } from '../../abort.js'
import type { DrawOptions, PickRows } from '../../layouts/pick-rows.js'
import type { Pick } from './batch.js'
import type { Sequence } from './sequence.js'

/**
 * Ids that shall run through the network behind those of a sequence, in one step or several, and what is
 * wanted of their logits.
 */
export abstract class Job<Result> {
  readonly sequence: Sequence
  readonly ids: ArrayLike<number>
  /** Settles once all ids are through, or the job has failed. */
  readonly result: Promise<Result>
  /** How many of the ids are through, and how many besides are in steps that are under way. */
  done = 0
  underWay = 0
  #settled = false
  #resolve!: (result: Result) => void
  #reject!: (error: unknown) => void
  readonly #stopListening: (() => void) | undefined
  /** Called when the job fails. */
  onFail: (() => void) | undefined

  constructor(sequence: Sequence, ids: ArrayLike<number>, signal?: AbortSignal) {
    this.sequence = sequence
    this.ids = ids
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (signal?.aborted) this.fail(signal.reason)
    else this.#stopListening = whenAborted(signal, (reason) => this.fail(reason))
  }

  /** Ids that are in no step yet. */
  get remaining(): number {
    return this.ids.length - this.done - this.underWay
  }

  /** Whether it wants to see logits, which the next step writes over. */
  get readsLogits(): boolean {
    return false
  }

  /**
   * How to draw the id after the one that it draws, if another job will surely want that, and anything can
   * be said about it by now.
   */
  drawAhead(): DrawOptions | undefined {
    return undefined
  }

  /** Takes back what {@link drawAhead} gave: it came to nothing. */
  drawAgain(_draw: DrawOptions): void {}

  get settled(): boolean {
    return this.#settled
  }

  /** What is wanted of the logits of id `i`; undefined if nothing. */
  abstract pick(i: number): Pick | undefined

  /**
   * Takes what came of it.
   *
   * @param logits of the id, good until the next step; PICK may have used them up
   * @returns what to do with the logits besides, if anything
   */
  abstract take(i: number, picks: PickRows, output: number, logits: Float32Array): Pick | undefined

  /** What the job comes to, once every output was taken. */
  protected abstract finish(): Result

  /** All ids are through. */
  complete(): void {
    if (this.#settle()) this.#resolve(this.finish())
  }

  fail(error: unknown): void {
    if (!this.#settle()) return
    this.#reject(error)
    this.onFail?.()
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#stopListening?.()
    return true
  }
}

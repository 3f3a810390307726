import { isDeepStrictEqual } from 'node:util'

/** The most problems that are kept in full. */
const MOST_PROBLEMS = 20

/** Expected rejections, by the error's code. */
const endings = /** @type {const} */ ({
  ERR_DOTPOOL_WORKER_DIED: 'died with a worker',
  ERR_DOTPOOL_POOL_CLOSED: 'rejected by close',
  ERR_DOTPOOL_DISPOSED: 'rejected by dispose',
})

/** The errors that a call may end with. */
export class AllowedErrors {
  /** Whether a worker was killed, the call's pool closed, or an object that it uses disposed of, so far. */
  killed = false
  closed = false
  disposed = false

  /** @param {unknown} error */
  allows(error) {
    const { code } = /** @type {{ code?: string }} */ (error)
    if (code === 'ERR_DOTPOOL_WORKER_DIED') return this.killed
    if (code === 'ERR_DOTPOOL_POOL_CLOSED') return this.closed
    return code === 'ERR_DOTPOOL_DISPOSED' && this.disposed
  }
}

/** Counts calls and their outcomes. */
export class Tally {
  calls = 0
  right = 0
  wrong = 0
  aborted = 0
  /** Calls that were not settled long after their pool was closed. */
  unsettled = 0
  /** @type {string[]} */
  problems = []
  /** @type {Record<string, number>} */
  #ended = Object.fromEntries(Object.values(endings).map((ending) => [ending, 0]))
  /** Calls in flight, by their names. */
  #open = new Map()

  /**
   * Makes a call, and compares its result with the oracle's.
   *
   * @param {string} what
   * @param {AllowedErrors} allowed
   * @param {unknown} expected
   * @param {() => unknown} call returns a result, or a promise of it
   * @param {AbortSignal} [signal] that the call was given
   */
  async expect(what, allowed, expected, call, signal) {
    const key = Symbol(what)
    this.#open.set(key, what)
    this.calls++
    try {
      const result = await call()
      if (isDeepStrictEqual(result, expected)) this.right++
      else this.fail(`${what}: a wrong result`)
    } catch (error) {
      this.#end(what, allowed, error, signal)
    } finally {
      this.#open.delete(key)
    }
  }

  /** Records a failure. */
  fail(/** @type {string} */ problem) {
    this.wrong++
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(problem)
  }

  /** Records that the calls in flight will never be settled. */
  markUnsettled() {
    this.unsettled += this.#open.size
    for (const what of this.#open.values()) this.problems.push(`${what}: never settled`)
  }

  counts() {
    const { calls, right, aborted, wrong, unsettled } = this
    return { calls, right, aborted, ...this.#ended, wrong, unsettled }
  }

  /**
   * @param {string} what
   * @param {AllowedErrors} allowed
   * @param {unknown} error
   * @param {AbortSignal | undefined} signal
   */
  #end(what, allowed, error, signal) {
    if (signal?.aborted && error === signal.reason) {
      this.aborted++
      return
    }
    const { code } = /** @type {{ code: keyof typeof endings }} */ (error)
    if (allowed.allows(error)) this.#ended[endings[code]]++
    else this.fail(`${what}: ${error instanceof Error ? error.stack : error}`)
  }
}

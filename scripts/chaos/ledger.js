import { isDeepStrictEqual } from 'node:util'

/** So many problems are told in full. */
const TOLD = 20

/** Ends of calls that others asked for, by the error's code. */
const endings = /** @type {const} */ ({
  ERR_DOTPOOL_WORKER_DIED: 'died with a worker',
  ERR_DOTPOOL_POOL_CLOSED: 'rejected by close',
  ERR_DOTPOOL_DISPOSED: 'rejected by dispose',
})

/** What may become of a call besides its result. */
export class Fate {
  /** Whether a worker was killed, its pool closed, or what it needs disposed of, so far. */
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

/** Counts calls, and what became of them. */
export class Ledger {
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
  /** Calls in flight, by what they are. */
  #open = new Map()

  /**
   * Makes a call, and holds its result against the oracle's.
   *
   * @param {string} what
   * @param {Fate} fate
   * @param {unknown} expected
   * @param {() => unknown} call returns a result, or a promise of it
   * @param {AbortSignal} [signal] that the call was given
   */
  async expect(what, fate, expected, call, signal) {
    const key = Symbol(what)
    this.#open.set(key, what)
    this.calls++
    try {
      const result = await call()
      if (isDeepStrictEqual(result, expected)) this.right++
      else this.blame(`${what}: a wrong result`)
    } catch (error) {
      this.#end(what, fate, error, signal)
    } finally {
      this.#open.delete(key)
    }
  }

  /** Something that may not be. */
  blame(/** @type {string} */ problem) {
    this.wrong++
    if (this.problems.length < TOLD) this.problems.push(problem)
  }

  /** The calls that are in flight will never be settled. */
  giveUp() {
    this.unsettled += this.#open.size
    for (const what of this.#open.values()) this.problems.push(`${what}: never settled`)
  }

  counts() {
    const { calls, right, aborted, wrong, unsettled } = this
    return { calls, right, aborted, ...this.#ended, wrong, unsettled }
  }

  /**
   * @param {string} what
   * @param {Fate} fate
   * @param {unknown} error
   * @param {AbortSignal | undefined} signal
   */
  #end(what, fate, error, signal) {
    if (signal?.aborted && error === signal.reason) {
      this.aborted++
      return
    }
    const { code } = /** @type {{ code: keyof typeof endings }} */ (error)
    if (fate.allows(error)) this.#ended[endings[code]]++
    else this.blame(`${what}: ${error instanceof Error ? error.stack : error}`)
  }
}

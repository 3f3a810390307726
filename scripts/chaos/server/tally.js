/** The most problems that are kept. */
const MOST_PROBLEMS = 20

/** Counts what clients did, and what became of it. */
export class Tally {
  /** @type {Record<string, number>} */
  counts = {}
  /** @type {string[]} */
  problems = []

  count(/** @type {string} */ what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  fail(/** @type {string} */ problem) {
    this.count('wrong')
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(problem)
  }
}

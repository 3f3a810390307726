/** @import { Sample } from './memory.js' */

const megabytes = (/** @type {number | undefined} */ bytes) =>
  bytes && Number((bytes / 1e6).toFixed(1))

/**
 * Memory in the first and the last tenth of the rounds, by lines of a table.
 *
 * @param {Sample | undefined} first
 * @param {Sample | undefined} last
 */
export function memoryLines(first, last) {
  return {
    'RSS, first tenth, MB': megabytes(first?.resident),
    'RSS, last tenth, MB': megabytes(last?.resident),
    'kept by koffi for ended threads, MB': megabytes(last?.koffi),
    'held, first tenth, MB': megabytes(first?.held),
    'held, last tenth, MB': megabytes(last?.held),
    'buffers, first tenth, MB': megabytes(first?.buffers),
    'buffers, last tenth, MB': megabytes(last?.buffers),
  }
}

/**
 * What has grown by more than a share of what is held. Says so where nothing can be told.
 *
 * @param {Sample | undefined} first
 * @param {Sample | undefined} last
 * @param {number} most
 */
export function growthProblems(first, last, most) {
  if (first === undefined || last === undefined) {
    console.log('memory growth: unknown on this system, or too few rounds to tell')
    return []
  }
  const growths = /** @type {const} */ ([
    ['held', (last.held - first.held) / first.held],
    ['in buffers', (last.buffers - first.buffers) / first.held],
  ])
  return growths
    .filter(([, growth]) => growth > most)
    .map(([where, growth]) => `memory that is ${where} grew by ${(100 * growth).toFixed(1)} %`)
}

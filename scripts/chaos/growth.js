/** @import { Samples } from './memory.js' */

const megabytes = (/** @type {number | undefined} */ bytes) =>
  bytes && Number((bytes / 1e6).toFixed(1))

/** Memory in some tenths of the rounds, by lines of a table. */
export function memoryLines(/** @type {Samples | undefined} */ samples) {
  const { first, middle, last } = samples ?? {}
  return {
    'RSS, first tenth, MB': megabytes(first?.resident),
    'RSS, last tenth, MB': megabytes(last?.resident),
    'kept by koffi for ended threads, MB': megabytes(last?.koffi),
    'held, first tenth, MB': megabytes(first?.held),
    'held, fifth tenth, MB': megabytes(middle?.held),
    'held, last tenth, MB': megabytes(last?.held),
    'buffers, first tenth, MB': megabytes(first?.buffers),
    'buffers, last tenth, MB': megabytes(last?.buffers),
  }
}

/**
 * What has grown by more than a share of what is held, and went on growing: what leaks does so, while heaps and compiled
 * code grow until they fit. Says so where nothing can be told.
 *
 * @param {Samples | undefined} samples
 * @param {number} most
 */
export function growthProblems(samples, most) {
  if (samples === undefined) {
    console.log('memory growth: unknown on this system, or too few rounds to tell')
    return []
  }
  const { first, middle, last } = samples
  const kinds = /** @type {const} */ ([
    ['held', 'held'],
    ['in buffers', 'buffers'],
  ])
  return kinds.flatMap(([where, key]) => {
    const growth = (last[key] - first[key]) / first.held
    const lately = (last[key] - middle[key]) / first.held
    // of what a leak adds, half comes in the second half
    if (growth <= most || lately <= most / 4) return []
    return [`memory that is ${where} grew by ${(100 * growth).toFixed(1)} %`]
  })
}

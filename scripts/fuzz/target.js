import { mutatedBytes, mutatedJson } from './mutate.js'

/**
 * Something that reads documents, and valid ones to begin with.
 *
 * @typedef {object} Target
 * @property {string} name
 * @property {(random: import('./random.js').Random) => Uint8Array} draw a document, valid or not
 * @property {(bytes: Uint8Array) => readonly (() => unknown)[]} open reads it; gives what can be done with it then
 */

/** Named in errors. */
export const FILE = 'fuzzed'

/** @param {unknown} value */
export const textOf = (value) => Buffer.from(JSON.stringify(value) ?? '')

/**
 * JSON documents with changed values; now and then with changed bytes.
 *
 * @param {readonly unknown[]} documents valid ones
 * @returns {Target['draw']}
 */
export function drawJson(documents) {
  return (random) => {
    const bytes = textOf(mutatedJson(random, documents))
    return random.oneIn(8) && bytes.length > 0 ? mutatedBytes(random, bytes) : bytes
  }
}

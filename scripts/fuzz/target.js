import { mutatedBytes, mutatedJson } from './mutate.js'

/**
 * A parser of documents, and valid ones to begin with.
 *
 * @typedef {object} Target
 * @property {string} name
 * @property {(random: import('../random.js').Random) => Uint8Array} generate a document, valid or not
 * @property {(bytes: Uint8Array) => readonly (() => unknown)[]} open parses it; returns functions that use it
 */

/** The path that errors name. */
export const FILE = 'fuzzed'

/** @param {unknown} value */
export const textOf = (value) => Buffer.from(JSON.stringify(value) ?? '')

/**
 * JSON documents with changed values, sometimes with changed bytes.
 *
 * @param {readonly unknown[]} documents valid ones
 * @returns {Target['generate']}
 */
export function drawJson(documents) {
  return (random) => {
    const bytes = textOf(mutatedJson(random, documents))
    return random.chance(1 / 8) && bytes.length > 0 ? mutatedBytes(random, bytes) : bytes
  }
}

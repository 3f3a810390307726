/** @import { Instruction } from './disassembly.js' */

/**
 * The innermost loops of a function: the code between a backward branch and its target. Of overlapping ranges the
 * shortest is innermost, so a cold path that jumps back into a loop is not a loop itself.
 * @param {Instruction[]} instructions
 */
export function innermostLoops(instructions) {
  /** @type {Map<number, number>} */
  const ends = new Map()
  for (const { address, target } of instructions) {
    if (target !== undefined && target <= address) ends.set(target, address)
  }
  /** @type {[number, number][]} */
  const found = []
  for (const [start, end] of [...ends].sort((a, b) => a[1] - a[0] - (b[1] - b[0]))) {
    if (found.every(([first, last]) => end < first || last < start)) found.push([start, end])
  }
  return found
    .sort(([a], [b]) => a - b)
    .map(([start, end]) => instructions.filter(({ address }) => start <= address && address <= end))
}

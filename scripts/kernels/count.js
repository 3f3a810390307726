/** @import { Instruction } from './disassembly.js' */
import { innermostLoops } from './loops.js'

/**
 * @typedef {{
 *   multiplyAdds(instruction: Instruction): number,
 *   onlyAdds(instruction: Instruction, loop: Instruction[]): boolean,
 *   loads(instruction: Instruction): number,
 *   isMove(instruction: Instruction): boolean,
 *   isSpill(instruction: Instruction, code: Instruction[]): boolean,
 * }} Architecture
 *
 * @typedef {{ multiplyAdds: number, instructions: number, loads: number, moves: number, spills: number }} Counts
 */

/**
 * Counts what each innermost loop of a function does per iteration, if it multiplies.
 * @param {Instruction[]} code
 * @param {Architecture} architecture
 * @returns {Counts[]}
 */
export function countLoops(code, architecture) {
  return innermostLoops(code)
    .map((loop) => ({
      multiplyAdds: sum(loop, (each) =>
        architecture.onlyAdds(each, loop) ? 0 : architecture.multiplyAdds(each),
      ),
      instructions: loop.length,
      loads: sum(loop, architecture.loads),
      moves: sum(loop, (each) => Number(architecture.isMove(each))),
      spills: sum(loop, (each) => Number(architecture.isSpill(each, code))),
    }))
    .filter(({ multiplyAdds }) => multiplyAdds > 0)
}

/** @template T @param {T[]} items @param {(item: T) => number} value */
const sum = (items, value) => items.reduce((total, item) => total + value(item), 0)

/** @import { Instruction } from './disassembly.js' */

/** Multiply-adds of each; other multiplies have as many as the vector has elements. */
const PRODUCTS = /** @type {Record<string, number>} */ ({ sdot: 16, smmla: 32 })
const BY_ELEMENT = /^(mul|mla|smull2?|smlal2?)$/
const SCALAR = /^(madd|mul|smull|smaddl)$/

/** How to count instructions of AArch64. */
export const arm64 = {
  multiplyAdds(/** @type {Instruction} */ { name, operands }) {
    if (name in PRODUCTS) return PRODUCTS[name]
    const elements = /^v\d+\.(\d+)[bhsd]/.exec(operands[0] ?? '')?.[1]
    if (elements === undefined) return SCALAR.test(name) ? 1 : 0
    return BY_ELEMENT.test(name) ? Number(elements) : 0
  },

  onlyAdds: () => false,

  /** Counts the registers loaded. */
  loads(/** @type {Instruction} */ { name, operands }) {
    if (!name.startsWith('ld')) return 0
    if (/^ldn?p/.test(name)) return 2
    const [first, last = first] = (operands[0].match(/\d+(?=\.)/g) ?? [0]).map(Number)
    return last - first + 1
  },

  isMove: (/** @type {Instruction} */ { name, operands }) =>
    /^f?mov$/.test(name) && operands.every((operand) => /^([vxwqds]\d|sp)/.test(operand)),

  /** Whether a vector register is stored to or loaded from the stack frame; accesses to arrays there have an index. */
  isSpill: (/** @type {Instruction} */ { name, operands }) =>
    /^(ld|st)/.test(name) &&
    /^[qdv]\d/.test(operands[0]) &&
    /^\[(sp|x29)(, #[^,]*)?\]/.test(operands.at(-1) ?? ''),
}

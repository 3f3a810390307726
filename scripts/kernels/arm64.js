/** @import { Instruction } from './disassembly.js' */

/** Multiply-adds of each; of the others that multiply as many as the vector has elements. */
const PRODUCTS = /** @type {Record<string, number>} */ ({ sdot: 16, smmla: 32 })
const BY_ELEMENT = /^(mul|mla|smull2?|smlal2?)$/
const SCALAR = /^(madd|mul|smull|smaddl)$/

/** How instructions of AArch64 count. */
export const arm64 = {
  multiplyAdds(/** @type {Instruction} */ { name, operands }) {
    if (name in PRODUCTS) return PRODUCTS[name]
    const elements = /^v\d+\.(\d+)[bhsd]/.exec(operands[0] ?? '')?.[1]
    if (elements === undefined) return SCALAR.test(name) ? 1 : 0
    return BY_ELEMENT.test(name) ? Number(elements) : 0
  },

  onlyAdds: () => false,

  /** Registers loaded. */
  loads(/** @type {Instruction} */ { name, operands }) {
    if (/^ldn?p/.test(name)) return 2
    if (!/^ld/.test(name)) return 0
    const listed = /^\{v(\d+)\.\w+(?:-v(\d+)\.|(?:, v\d+\.\w+)*)/.exec(operands[0])
    return listed?.[2] ? Number(listed[2]) - Number(listed[1]) + 1 : (operands[0].match(/v\d/g) ?? [0]).length
  },

  isMove: (/** @type {Instruction} */ { name, operands }) =>
    /^f?mov$/.test(name) && operands.every((operand) => /^([vxwqds]\d|sp)/.test(operand)),

  /** Whether it reads or writes a place of the stack frame; an array there is reached by an index. */
  isSpill: (/** @type {Instruction} */ { name, operands }) =>
    /^(ld|st)/.test(name) && /^\[(sp|x29)(, #[^,]*)?\]?$/.test(operands.at(-1) ?? ''),
}

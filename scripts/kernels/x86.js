/** @import { Instruction } from './disassembly.js' */

/** Multiply-adds of bytes, or of the widened bytes, in a register of 16 bytes. */
const PER_16_BYTES = /** @type {Record<string, number>} */ ({
  pdpbusd: 16,
  pmaddubsw: 16,
  pmaddwd: 8,
  pmullw: 8,
  pmulld: 4,
  pmuludq: 2,
})
const TILE = 16 * 16 * 64

const isRegister = (/** @type {string} */ operand) => operand.startsWith('%')
const isMemory = (/** @type {string} */ operand) => operand.includes('(')
const touchesNoMemory = /^(lea|prefetch|nop|cs$|data16)/

/** How to count instructions of x86-64 in AT&T syntax. */
export const x86 = {
  multiplyAdds(/** @type {Instruction} */ { name, operands }) {
    if (/^tdpb..d$/.test(name)) return TILE
    if (/^imul/.test(name)) return 1
    const bytes =
      { x: 16, y: 32, z: 64 }[/^%([xyz])mm/.exec(operands.at(-1) ?? '')?.[1] ?? 'x'] ?? 16
    return ((PER_16_BYTES[name.replace(/^v/, '')] ?? 0) * bytes) / 16
  },

  /** Whether it only adds products of another instruction: vpmaddwd by ones, after vpmaddubsw. */
  onlyAdds: (/** @type {Instruction} */ { name }, /** @type {Instruction[]} */ loop) =>
    /^v?pmaddwd$/.test(name) && loop.some((other) => /^v?pmaddubsw$/.test(other.name)),

  loads(/** @type {Instruction} */ { name, operands }) {
    if (touchesNoMemory.test(name) || !operands.some(isMemory)) return 0
    const stores =
      /^(v?mov|tilestore|vextract|v?pextr)/.test(name) && isMemory(operands.at(-1) ?? '')
    return stores ? 0 : 1
  },

  isMove: (/** @type {Instruction} */ { name, operands }) =>
    /^v?mov([bwlqd]|abs|[au]p[sd]|dq[au]\d*)?$/.test(name) && operands.every(isRegister),

  /** Whether a vector register is stored to or loaded from the stack frame; accesses to arrays there have an index. */
  isSpill: (/** @type {Instruction} */ { operands }, /** @type {Instruction[]} */ code) =>
    operands.some((operand) => /^%[xyz]mm/.test(operand)) &&
    operands.some(
      (operand) => /\(%rsp\)/.test(operand) || (/\(%rbp\)/.test(operand) && hasFrame(code)),
    ),
}

const hasFrame = (/** @type {Instruction[]} */ code) =>
  code.some(({ name, operands }) => name.startsWith('mov') && operands.join() === '%rsp,%rbp')

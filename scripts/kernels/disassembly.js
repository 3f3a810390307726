/**
 * @typedef {{ address: number, name: string, operands: string[], target?: number }} Instruction `target`: that of a
 * branch.
 */

/** Parses the instructions of each function that `objdump --disassemble --no-show-raw-insn` lists. */
export function parseDisassembly(/** @type {string} */ text) {
  return text
    .split(/^[0-9a-f]+ <.*>:$/m)
    .map((part) => part.split('\n').flatMap(parseLine))
    .filter((instructions) => instructions.length > 0)
}

/** @returns {Instruction[]} */
function parseLine(/** @type {string} */ line) {
  const match = /^ *([0-9a-f]+):\s+(?:\{vex\} )?(\S+)\s*(.*)$/.exec(line)
  if (match === null) return []
  const [, address, name, rest] = match
  const text = rest.replace(/\s*(# |\/\/).*$|\s*<.*>/g, '')
  const target = /^(?:j|b|cb|tb)/.test(name)
    ? /(?:^|, *)(?:0x)?([0-9a-f]+)$/.exec(text)?.[1]
    : undefined
  return [
    {
      address: Number.parseInt(address, 16),
      name,
      operands: splitOperands(text),
      ...(target !== undefined && { target: Number.parseInt(target, 16) }),
    },
  ]
}

/** Splits at the commas outside of brackets. */
function splitOperands(/** @type {string} */ text) {
  return text
    .split(/,(?![^([{]*[)\]}])/)
    .map((operand) => operand.trim())
    .filter((operand) => operand !== '')
}

/** @import { Field, Header, Struct } from './header.js' */
/** @import { Layout } from './probe.js' */

/** What TypeScript says instead of C's own words. */
const spelled = /** @type {Record<string, string>} */ ({
  F32: 'float32',
  BF16: 'bfloat16',
  S4: 'int4',
  S8: 'int8',
  S32: 'int32',
  NAN: 'notANumber',
})

const WORD = 4

const isParams = (/** @type {string} */ name) => name.endsWith('_params')

/** Whether TypeScript writes it as a whole. */
const isWritten = (/** @type {string} */ name) => isParams(name) || name === 'dp_attention'

/** A TypeScript module with the header's numbers, and with functions that write the parameters of ops. */
export function typescript(/** @type {Header} */ header, /** @type {Layout} */ layout) {
  const { constants, enums, structs } = header
  return [
    `/*
 * What C and TypeScript share, by C's names: see native/include/dotpool.h. Offsets and sizes count 32-bit words; an
 * address takes two. Written by npm run layouts.
 */
`,
    ...constants.map((name) => `export const ${name.slice(3)} = ${layout.values[name]}\n`),
    ...enums.map((each) => enumeration(each.name, each.values, layout)),
    ...structs.filter(({ name }) => !isParams(name)).map((each) => offsets(each, layout)),
    HELPERS,
    ...structs.filter(({ name }) => isWritten(name)).map((each) => params(each, layout)),
  ].join('\n')
}

/** @param {string} name @param {string[]} values @param {Layout} layout */
function enumeration(name, values, layout) {
  const groups = values.map((value) => value.split('_')[1])
  const lines = values
    .filter((value) => value !== 'DP_OP_KINDS')
    .map((value) => {
      const [, group, ...rest] = value.split('_')
      // a word that several share is the enumeration's, such as OP of DP_OP_GEMV
      const shared = rest.length > 0 && groups.filter((each) => each === group).length > 1
      const own = (shared ? rest : [group, ...rest]).join('_')
      return `  ${spelled[own] ?? camel(own.toLowerCase())}: ${layout.values[value]},\n`
    })
  return `/** ${name} */\nexport const ${pascal(name)} = {\n${lines.join('')}} as const\n`
}

/** @param {Struct} struct @param {Layout} layout */
function offsets({ name, fields }, layout) {
  const lines = fields.map(
    (field) => `  ${camel(field.name)}: ${layout.offsets[name][field.name] / WORD},\n`,
  )
  const size = `  words: ${layout.sizes[name] / WORD},\n`
  return `/** ${name} */\nexport const ${pascal(name)}Layout = {\n${size}${lines.join('')}} as const\n`
}

const HELPERS = `const float = new Float32Array(1)
const floatWord = new Uint32Array(float.buffer)

function writeFloat(words: Uint32Array, at: number, value: number): void {
  float[0] = value
  words[at] = floatWord[0]
}

function writeAddress(words: Uint32Array, at: number, address: number): void {
  // both conversions take the integer part modulo 2^32
  words[at] = address
  words[at + 1] = address / 2 ** 32
}
`

/** An interface, and a function that writes it. @param {Struct} struct @param {Layout} layout */
function params({ name, text, fields }, layout) {
  const type = pascal(name)
  const inner = fields.filter(isStruct)
  const own = fields.filter((field) => !isStruct(field))
  const bases = inner.map((field) => pascal(field.type))
  const at = (/** @type {Field} */ field) => {
    const offset = layout.offsets[name][field.name] / WORD
    return offset === 0 ? 'at' : `at + ${offset}`
  }
  const base = bases.length > 0 ? ` extends ${bases.join(', ')}` : ''
  return `/** ${isParams(name) ? text : name} */
export interface ${type}${base} {
${own.map((field) => `  ${camel(field.name)}: number\n`).join('')}}

export function write${type}(words: Uint32Array, at: number, params: ${type}): void {
${inner.map((field) => `  write${pascal(field.type)}(words, ${at(field)}, params)\n`).join('')}${own
  .map((field) => `  ${write(field, at(field))}\n`)
  .join('')}}
`
}

const isStruct = (/** @type {Field} */ { type }) => type.startsWith('dp_')

function write(/** @type {Field} */ { name, type }, /** @type {string} */ at) {
  const value = `params.${camel(name)}`
  if (type === 'uint64_t') return `writeAddress(words, ${at}, ${value})`
  if (type === 'float') return `writeFloat(words, ${at}, ${value})`
  return `words[${at}] = ${value}`
}

/** col_sum: colSum */
const camel = (/** @type {string} */ name) =>
  name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase())

/** dp_op_kind: OpKind */
const pascal = (/** @type {string} */ name) => {
  const text = camel(name.replace(/^dp_/, ''))
  return text[0].toUpperCase() + text.slice(1)
}

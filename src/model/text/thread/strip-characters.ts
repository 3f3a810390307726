import type { SyntaxNode } from './python-lookups.js'

const methods = ['strip', 'lstrip', 'rstrip'] as const

/**
 * Rewrites `text.strip(characters)`, and lstrip and rstrip, to calls of {@link stripFunctions}: the
 * template engine's own methods take no characters off but white space, whatever they are given.
 */
export function callStripWithCharacters(node: SyntaxNode): void {
  if (node.type !== 'CallExpression') return
  const args = node.args as unknown[]
  const callee = node.callee as SyntaxNode
  if (args.length === 0 || callee.type !== 'MemberExpression' || callee.computed === true) return
  const { value: method } = callee.property as SyntaxNode
  if (!methods.some((name) => name === method)) return
  args.unshift(callee.object)
  node.callee = { type: 'Identifier', value: functionName(String(method)) }
}

/** With a dot, which no variable of a template can have. */
function functionName(method: string): string {
  return `str.${method}`
}

/** Python's str.strip, str.lstrip and str.rstrip, called with the text first. */
export const stripFunctions = Object.fromEntries(
  methods.map((method) => [
    functionName(method),
    (text: unknown, characters: unknown) => {
      if (typeof text !== 'string') throw new Error(`${method}() of something that is no string`)
      return strip(method, text, characters)
    },
  ]),
)

function strip(method: (typeof methods)[number], text: string, characters: unknown): string {
  const drops = dropped(characters)
  const chars = [...text]
  let start = 0
  let end = chars.length
  if (method !== 'rstrip') while (start < end && drops(chars[start])) start++
  if (method !== 'lstrip') while (end > start && drops(chars[end - 1])) end--
  return chars.slice(start, end).join('')
}

function dropped(characters: unknown): (char: string) => boolean {
  if (characters === null) return (char) => char.trim() === ''
  const set = new Set(String(characters))
  return (char) => set.has(char)
}

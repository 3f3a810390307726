import type { Template } from '@huggingface/jinja'

type Program = Template['parsed']

const methods = ['strip', 'lstrip', 'rstrip'] as const

/**
 * Rewrites `text.strip(characters)`, and lstrip and rstrip, to calls of {@link stripFunctions}: the
 * template engine's own methods take no characters off but white space, whatever they are given.
 *
 * @returns `program`, changed in place
 */
export function callStripsWithCharacters(program: Program): Program {
  rewrite(program)
  return program
}

function rewrite(node: unknown): void {
  if (typeof node !== 'object' || node === null) return
  const children = node instanceof Map ? [...node.entries()].flat() : Object.values(node)
  children.forEach(rewrite)
  if (!isCallWithArguments(node)) return
  const { callee } = node
  if (callee.type !== 'MemberExpression' || callee.computed) return
  const method = callee.property.value
  if (!methods.some((name) => name === method)) return
  node.args.unshift(callee.object)
  node.callee = { type: 'Identifier', value: functionName(method) }
}

/** The engine's syntax tree, as far as it matters here. */
type Expression =
  | { type: 'MemberExpression'; object: unknown; property: { value: string }; computed: boolean }
  | { type: 'Identifier'; value: string }

function isCallWithArguments(node: object): node is { callee: Expression; args: unknown[] } {
  const { type, args } = node as { type?: unknown; args?: unknown[] }
  return type === 'CallExpression' && args !== undefined && args.length > 0
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

import type { Template } from '@huggingface/jinja'
import {
  compareMappings,
  filterNothing,
  lookUpAnyKey,
  loopOverNothing,
  type SyntaxNode,
  testIterables,
  testMissingAttributes,
} from './python-lookups.js'
import { callStripWithCharacters } from './strip-characters.js'

/** Each changes a node, if it is one that it is about. */
const rules = [
  callStripWithCharacters,
  testMissingAttributes,
  lookUpAnyKey,
  testIterables,
  loopOverNothing,
  filterNothing,
  compareMappings,
]

/**
 * Rewrites what the template engine does otherwise than Jinja on Python into what it does the same.
 *
 * @returns `program`, changed in place
 */
export function rewriteTemplate(program: Template['parsed']): Template['parsed'] {
  rewrite(program)
  return program
}

function rewrite(node: unknown): void {
  if (typeof node !== 'object' || node === null) return
  for (const child of childrenOf(node)) rewrite(child)
  if (isSyntaxNode(node)) for (const rule of rules) rule(node)
}

/** But what is set, which is no expression. */
function childrenOf(node: object): unknown[] {
  if (node instanceof Map) return [...node.entries()].flat()
  const fields = Object.entries(node)
  const isSet = isSyntaxNode(node) && node.type === 'Set'
  return fields.filter(([name]) => !(isSet && name === 'assignee')).map(([, child]) => child)
}

function isSyntaxNode(node: object): node is SyntaxNode {
  return 'type' in node && typeof node.type === 'string'
}

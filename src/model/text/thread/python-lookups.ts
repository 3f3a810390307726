/*
 * Where the template engine knows less than Jinja on Python, in what published templates rely on, and how
 * the same is said in what it does know.
 */

/** A node of the engine's syntax tree, as far as it matters here. */
export interface SyntaxNode {
  type: string
  [field: string]: unknown
}

/**
 * `selectattr(name, "undefined")` selects nothing there, for a field that is missing is never tested, but
 * `rejectattr(name, "defined")` selects the same; and the other way round.
 */
export function testMissingAttributes(node: SyntaxNode): void {
  if (node.type !== 'CallExpression') return
  const callee = node.callee as SyntaxNode
  const [, test] = node.args as SyntaxNode[]
  const opposite = { selectattr: 'rejectattr', rejectattr: 'selectattr' }[String(callee.value)]
  if (callee.type !== 'Identifier' || opposite === undefined) return
  if (test?.type !== 'StringLiteral' || test.value !== 'undefined') return
  callee.value = opposite
  test.value = 'defined'
}

/** `values[key]` is undefined for a key that is neither a name nor a number; there it throws. */
export function lookUpAnyKey(node: SyntaxNode): void {
  if (node.type !== 'MemberExpression' || node.computed !== true) return
  const key = node.property as SyntaxNode
  if (constantKeys.includes(key.type)) return
  replace(node, {
    type: 'Ternary',
    condition: either(is(key, 'string'), is(key, 'number')),
    trueExpr: { ...node },
    falseExpr: { type: 'Identifier', value: 'nothing.at.all' },
  })
}

const constantKeys = ['StringLiteral', 'IntegerLiteral', 'SliceExpression', 'UnaryExpression']

/** In Python, a mapping and what is undefined can be iterated over, too. */
export function testIterables(node: SyntaxNode): void {
  const test = node.test as SyntaxNode | undefined
  if (node.type !== 'TestExpression' || test?.value !== 'iterable' || node.negate === true) return
  const operand = node.operand as SyntaxNode
  replace(node, either({ ...node }, either(is(operand, 'mapping'), is(operand, 'undefined'))))
}

/** A loop over what is undefined has no turns. */
export function loopOverNothing(node: SyntaxNode): void {
  if (node.type !== 'For') return
  const iterable = node.iterable as SyntaxNode
  if (iterable.type === 'SelectExpression') iterable.lhs = orNothing(iterable.lhs)
  else node.iterable = orNothing(iterable)
}

/** What a filter makes of what is undefined is what it makes of an empty text or list. */
export function filterNothing(node: SyntaxNode): void {
  if (node.type !== 'FilterExpression') return
  const filter = node.filter as SyntaxNode
  const name = String(((filter.callee as SyntaxNode) ?? filter).value)
  if (ofTexts.includes(name)) node.operand = filtered(node.operand, 'default', emptyText)
  if (ofLists.includes(name)) node.operand = orNothing(node.operand)
}

const ofTexts = ['capitalize', 'indent', 'lower', 'replace', 'string', 'title', 'trim', 'upper']
const ofLists = [
  ...['join', 'length', 'list', 'map', 'reverse', 'sort', 'unique'],
  ...['reject', 'rejectattr', 'select', 'selectattr'],
]

/** Mappings are equal that hold the same, not only those that are the same. */
export function compareMappings(node: SyntaxNode): void {
  if (node.type !== 'BinaryExpression') return
  const { left, right, operator } = node as SyntaxNode & Comparison
  if (!['==', '!='].includes(operator.value) || isConstant(left) || isConstant(right)) return
  const [leftText, rightText] = [filtered(left, 'tojson'), filtered(right, 'tojson')]
  replace(node, {
    type: 'Ternary',
    condition: both(is(left, 'mapping'), is(right, 'mapping')),
    trueExpr: { ...node, left: leftText, right: rightText },
    falseExpr: { ...node },
  })
}

interface Comparison {
  readonly left: SyntaxNode
  readonly right: SyntaxNode
  readonly operator: { readonly value: string }
}

function isConstant({ type }: SyntaxNode): boolean {
  return ['StringLiteral', 'IntegerLiteral', 'FloatLiteral'].includes(type)
}

const emptyText: SyntaxNode = { type: 'StringLiteral', value: '' }

/** `operand | default([])` */
function orNothing(operand: unknown): SyntaxNode {
  return filtered(operand, 'default', { type: 'ArrayLiteral', value: [] })
}

function filtered(operand: unknown, name: string, ...args: SyntaxNode[]): SyntaxNode {
  const callee = { type: 'Identifier', value: name }
  const filter = args.length === 0 ? callee : { type: 'CallExpression', callee, args }
  return { type: 'FilterExpression', operand, filter }
}

function is(operand: SyntaxNode, test: string): SyntaxNode {
  return {
    type: 'TestExpression',
    operand,
    negate: false,
    test: { type: 'Identifier', value: test },
  }
}

function either(left: SyntaxNode, right: SyntaxNode): SyntaxNode {
  return logical('or', left, right)
}

function both(left: SyntaxNode, right: SyntaxNode): SyntaxNode {
  return logical('and', left, right)
}

function logical(value: 'and' | 'or', left: SyntaxNode, right: SyntaxNode): SyntaxNode {
  return { type: 'BinaryExpression', operator: { value, type: 'BinaryOperator' }, left, right }
}

/** Puts another expression where a node is. */
function replace(node: SyntaxNode, other: SyntaxNode): void {
  for (const field of Object.keys(node)) delete node[field]
  Object.assign(node, other)
}

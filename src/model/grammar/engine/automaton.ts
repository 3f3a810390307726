import { ArgumentError } from '../../../errors.js'
import { type Expression, normalise, type Rule } from '../syntax/expression.js'
import { type Bytes, utf8Ranges } from './utf8-ranges.js'

/** States of all rules together: many times what large schemas take, and made in less than a second. */
const MAX_NODES = 100_000

/** A state of a rule: a byte leads to another one, or nothing does, or a rule that is to be matched in between. */
export interface Node {
  readonly id: number
  edges: { readonly bytes: Bytes; readonly target: Node }[]
  epsilons: Node[]
  calls: { readonly net: Net; readonly next: Node }[]
  /** The rule ends here. */
  readonly isEnd: boolean
  /** Nothing but the end of the rule follows, so that a call that leads here needs no way back. */
  isTail: boolean
}

/** The states of a rule. */
export interface Net {
  readonly name: string
  readonly start: Node
  readonly end: Node
}

/** A grammar over bytes: a net of states for each rule. All that is in it can come to an end. */
export interface Automaton {
  readonly root: Net
  /** How many states there are. */
  readonly size: number
}

/** @throws ArgumentError for a grammar that is too large, is left-recursive, or has no text of finite length */
export function buildAutomaton(rule: Rule): Automaton {
  const builder = new Builder()
  const root = builder.build(rule)
  prune(builder.nodes, builder.nets)
  const { epsilons, edges, calls } = root.start
  if (epsilons.length + edges.length + calls.length === 0) {
    const expected = 'a format that a text of finite length can have'
    throw new ArgumentError('responseFormat', expected, 'one that no text has')
  }
  refuseLeftRecursion(builder.nets)
  for (const node of builder.nodes) node.isTail = isTail(node)
  return { root, size: builder.nodes.length }
}

class Builder {
  readonly nodes: Node[] = []
  readonly nets: Net[] = []
  readonly #nets = new Map<Rule, Net>()
  readonly #unbuilt: { rule: Rule; net: Net }[] = []

  build(root: Rule): Net {
    const net = this.#netOf(root)
    for (;;) {
      const next = this.#unbuilt.pop()
      if (next === undefined) return net
      const last = this.#add(next.rule.body, next.net.start)
      last.epsilons.push(next.net.end)
    }
  }

  #netOf(rule: Rule): Net {
    const known = this.#nets.get(rule)
    if (known !== undefined) return known
    const net = { name: rule.name, start: this.#node(), end: this.#node(true) }
    this.#nets.set(rule, net)
    this.nets.push(net)
    this.#unbuilt.push({ rule, net })
    return net
  }

  #node(isEnd = false): Node {
    if (this.nodes.length === MAX_NODES) {
      const expected = `a format whose grammar has at most ${MAX_NODES} states: shorten repetitions`
      throw new ArgumentError('responseFormat', expected, 'a larger one')
    }
    const id = this.nodes.length
    const node: Node = { id, edges: [], epsilons: [], calls: [], isEnd, isTail: false }
    this.nodes.push(node)
    return node
  }

  /** Adds what an expression admits behind a state. Returns the state behind it. */
  #add(expression: Expression, from: Node): Node {
    switch (expression.kind) {
      case 'text':
        return this.#addText(expression.text, from)
      case 'characters':
        return this.#addCharacters(expression, from)
      case 'sequence':
        return expression.parts.reduce((node, part) => this.#add(part, node), from)
      case 'choice':
        return this.#addChoice(expression.options, from)
      case 'repeat':
        return this.#addRepeat(expression, from)
      case 'rule': {
        const next = this.#node()
        from.calls.push({ net: this.#netOf(expression.rule), next })
        return next
      }
    }
  }

  #addText(text: string, from: Node): Node {
    let node = from
    for (const byte of encoder.encode(text)) {
      const target = this.#node()
      node.edges.push({ bytes: [byte, byte], target })
      node = target
    }
    return node
  }

  #addCharacters({ ranges }: Expression & { kind: 'characters' }, from: Node): Node {
    const last = this.#node()
    // sequences with the same end share its states
    const known = new Map<string, Node>([['', last]])
    const nodeBefore = (rest: readonly Bytes[]): Node => {
      const key = rest.join(' ')
      const found = known.get(key)
      if (found !== undefined) return found
      const node = this.#node()
      node.edges.push({ bytes: rest[0], target: nodeBefore(rest.slice(1)) })
      known.set(key, node)
      return node
    }
    for (const [bytes, ...rest] of normalise(ranges).flatMap(utf8Ranges)) {
      from.edges.push({ bytes, target: nodeBefore(rest) })
    }
    return last
  }

  #addChoice(options: readonly Expression[], from: Node): Node {
    const last = this.#node()
    for (const option of options) {
      const first = this.#node()
      from.epsilons.push(first)
      this.#add(option, first).epsilons.push(last)
    }
    return last
  }

  #addRepeat({ body, min, max }: Expression & { kind: 'repeat' }, from: Node): Node {
    let node = from
    for (let i = 0; i < min; i++) node = this.#add(body, node)
    const last = this.#node()
    if (max === Infinity) {
      const loop = this.#node()
      node.epsilons.push(loop)
      this.#add(body, loop).epsilons.push(loop)
      loop.epsilons.push(last)
      return last
    }
    for (let i = min; i < max; i++) {
      node.epsilons.push(last)
      // a state of its own, for the body may lead back to its first
      const first = this.#node()
      node.epsilons.push(first)
      node = this.#add(body, first)
    }
    node.epsilons.push(last)
    return last
  }
}

const encoder = new TextEncoder()

/** Leaves out what leads to no end, such as a rule that needs itself: a token that leads there must not be sampled. */
function prune(nodes: readonly Node[], nets: readonly Net[]): void {
  const live = new Set<Node>()
  const before = new Map<Node, Node[]>()
  const callers = new Map<Node, Node[]>()
  const note = (map: Map<Node, Node[]>, key: Node, node: Node) => {
    const list = map.get(key)
    if (list === undefined) map.set(key, [node])
    else list.push(node)
  }
  for (const node of nodes) {
    for (const { target } of node.edges) note(before, target, node)
    for (const target of node.epsilons) note(before, target, node)
    for (const { net, next } of node.calls) {
      note(callers, net.start, node)
      note(callers, next, node)
    }
  }
  const pending = nets.map(({ end }) => end)
  for (;;) {
    const node = pending.pop()
    if (node === undefined) break
    if (live.has(node)) continue
    live.add(node)
    pending.push(...(before.get(node) ?? []))
    for (const caller of callers.get(node) ?? []) {
      if (caller.calls.some(({ net, next }) => live.has(net.start) && live.has(next))) {
        pending.push(caller)
      }
    }
  }
  for (const node of nodes) {
    node.edges = node.edges.filter(({ target }) => live.has(target))
    node.epsilons = node.epsilons.filter((target) => live.has(target))
    node.calls = node.calls.filter(({ net, next }) => live.has(net.start) && live.has(next))
  }
}

/** A rule that begins with itself would be called without end before a byte is read. */
function refuseLeftRecursion(nets: readonly Net[]): void {
  const fronts = findFronts(nets)
  const done = new Set<Net>()
  for (const root of nets) {
    const path: { net: Net; rest: Net[] }[] = []
    const entered = new Set<Net>()
    const enter = (net: Net) => {
      entered.add(net)
      const rest = [...(fronts.get(net) ?? [])].flatMap(({ calls }) => calls.map(({ net }) => net))
      path.push({ net, rest })
    }
    if (!done.has(root)) enter(root)
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.rest.pop()
      if (next === undefined) {
        done.add(top.net)
        entered.delete(top.net)
        path.pop()
      } else if (entered.has(next)) {
        const expected = 'rules that do not begin with themselves: repeat by * or +'
        throw new ArgumentError('responseFormat', expected, `the rule ${next.name}`)
      } else if (!done.has(next)) enter(next)
    }
  }
}

/** The states of each rule that are reached before any byte. */
function findFronts(nets: readonly Net[]): Map<Net, Set<Node>> {
  const fronts = new Map(nets.map((net) => [net, new Set<Node>()]))
  /** What is reached as well, once it is known that a rule admits the empty text. */
  const waiting = new Map<Net, { net: Net; node: Node }[]>()
  const pending = nets.map((net) => ({ net, node: net.start }))
  const isNullable = (net: Net) => fronts.get(net)?.has(net.end) ?? false
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const { net, node } = at
    const front = fronts.get(net)
    if (front === undefined || front.has(node)) continue
    front.add(node)
    for (const target of node.epsilons) pending.push({ net, node: target })
    for (const { net: called, next } of node.calls) {
      const behind = { net, node: next }
      const list = waiting.get(called)
      if (isNullable(called)) pending.push(behind)
      else if (list !== undefined) list.push(behind)
      else waiting.set(called, [behind])
    }
    if (node.isEnd) for (const behind of waiting.get(net) ?? []) pending.push(behind)
  }
  return fronts
}

function isTail(node: Node): boolean {
  for (let at = node; ; at = at.epsilons[0]) {
    if (at.isEnd) return true
    if (at.edges.length > 0 || at.calls.length > 0 || at.epsilons.length !== 1) return false
  }
}

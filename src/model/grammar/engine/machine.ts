import { ArgumentError } from '../../../errors.js'
import type { Automaton, Node } from './automaton.js'

/** Ways to go on that a step may find at most: an ambiguous grammar has more and more of them. */
const MAX_WAYS = 10_000

/** What is found out for one mask, at most: less than a second's worth. */
const MAX_WORK = 2_000_000

/** A state that is new takes memory, and time to tell its bytes apart. */
const NEW_STATE = 50

/** States that are remembered. */
const MAX_STATES = 20_000

/** Most tokens consist of these, and many grammars do not tell them apart: printable, and no JSON or tag. */
export const plainBytes: readonly number[] = Array.from(
  { length: 0x5f },
  (_, i) => 0x20 + i,
).filter((byte) => !'"\\<'.includes(String.fromCharCode(byte)))

/** The longest runs of plain bytes that are looked for. */
const MAX_PLAIN = 16

/** Where rules go on that were called and have not ended, the innermost first. The same ones are the same object. */
interface Stack {
  readonly id: number
  readonly next: Node
  readonly below: Stack | undefined
  readonly above: Map<Node, Stack>
}

/** A way to go on with a text. */
interface Way {
  readonly node: Node
  readonly stack: Stack | undefined
}

/** Bits of tokens, while they are kept. */
export interface MaskSlot {
  bits: Uint32Array | undefined
}

/** What may follow a text: all ways to go on. Texts that the same may follow lead to the same object. */
export class State {
  /** Whether the text may end here. */
  readonly isComplete: boolean
  readonly ways: readonly Way[]
  /** Of its machine's states; older ones are forgotten. */
  readonly generation: number
  /** Where whoever computes the tokens that may follow keeps them. */
  mask: MaskSlot | undefined
  readonly #machine: Machine
  /** The class of each byte; 0: none goes on. */
  #classOf: Uint16Array | undefined
  /** -1: not computed. */
  #plainBytes = -1
  /** A byte of each class. */
  readonly #bytes: number[] = [-1]
  /** The state behind a byte of each class; null: there is none; undefined: not computed. */
  readonly #targets: (State | null | undefined)[] = [null]

  constructor(machine: Machine, ways: readonly Way[], isComplete: boolean) {
    this.#machine = machine
    this.generation = machine.generation
    this.ways = ways
    this.isComplete = isComplete
  }

  /** What may follow once a byte was added; null: it may not be. */
  step(byte: number): State | null {
    this.#classOf ??= this.#classify()
    const of = this.#classOf[byte]
    const known = this.#targets[of]
    if (known !== undefined) return known
    const target = this.#machine.stateBehind(this, this.#bytes[of])
    this.#targets[of] = target
    return target
  }

  /** So many plain bytes may follow, at least, whichever they are. */
  get plainBytes(): number {
    if (this.#plainBytes >= 0) return this.#plainBytes
    let [state, count]: [State, number] = [this, 0]
    while (count < MAX_PLAIN) {
      const next = state.#behindPlain()
      if (next === null) break
      count = next === state ? MAX_PLAIN : count + 1
      state = next
    }
    this.#plainBytes = count
    return count
  }

  /** The one state behind all plain bytes; null where there are several. */
  #behindPlain(): State | null {
    const target = this.step(plainBytes[0])
    if (target === null) return null
    return plainBytes.every((byte) => this.step(byte) === target) ? target : null
  }

  /** Bytes that all edges treat alike have one class. */
  #classify(): Uint16Array {
    const edges = this.ways.flatMap(({ node }) => node.edges)
    const begins = new Set(edges.flatMap(({ bytes: [first, last] }) => [first, last + 1]))
    const isCovered = new Uint8Array(256)
    for (const { bytes } of edges) isCovered.fill(1, bytes[0], bytes[1] + 1)
    const classOf = new Uint16Array(256)
    for (let byte = 0; byte < 256; byte++) {
      if (isCovered[byte] === 0) continue
      if (begins.has(byte)) {
        this.#bytes.push(byte)
        this.#targets.push(undefined)
      }
      classOf[byte] = this.#bytes.length - 1
    }
    return classOf
  }
}

/**
 * Runs the automaton of a grammar over bytes. What follows a state is computed when it is first asked for, and kept:
 * a deterministic automaton that is made as far as texts go.
 */
export class Machine {
  readonly #automaton: Automaton
  #states = new Map<string, State>()
  #bottoms = new Map<Node, Stack>()
  #stacks = 0
  #generation = 0
  #work = 0

  constructor(automaton: Automaton) {
    this.#automaton = automaton
  }

  /** How many times all states were forgotten. */
  get generation(): number {
    return this.#generation
  }

  /** About the memory that it holds, in states of an automaton. */
  get size(): number {
    return this.#automaton.size + 4 * this.#states.size
  }

  /** What may follow no text. */
  begin(): State {
    this.#work = 0
    return this.#close([{ node: this.#automaton.root.start, stack: undefined }]) as State
  }

  /** Goes on from a state: the work is bounded from here. Returns the state in its place. */
  resume(state: State): State {
    this.#work = 0
    if (this.#states.size >= MAX_STATES) {
      this.#states = new Map()
      this.#bottoms = new Map()
      this.#generation++
    }
    // one from before would hold on to all that are forgotten
    const { generation, ways, isComplete } = state
    return generation === this.#generation ? state : this.#stateOf(ways, isComplete)
  }

  /** @throws ArgumentError where there are too many ways to go on */
  stateBehind(state: State, byte: number): State | null {
    const ways: Way[] = []
    for (const { node, stack } of state.ways) {
      this.#work += node.edges.length
      for (const { bytes, target } of node.edges) {
        if (bytes[0] <= byte && byte <= bytes[1]) ways.push({ node: target, stack })
      }
    }
    return this.#close(ways)
  }

  /** The state that has these ways, and all that follow from them before a byte; null where there are none. */
  #close(pending: Way[]): State | null {
    const seen = new Set<number>()
    const ways: Way[] = []
    let isComplete = false
    for (;;) {
      const way = pending.pop()
      if (way === undefined) break
      const { node, stack } = way
      const key = keyOf(way)
      if (seen.has(key)) continue
      seen.add(key)
      this.#work++
      if (seen.size > MAX_WAYS || this.#work > MAX_WORK) throw tooAmbiguous()
      if (node.edges.length > 0) ways.push(way)
      for (const target of node.epsilons) pending.push({ node: target, stack })
      for (const { net, next } of node.calls) {
        pending.push({ node: net.start, stack: next.isTail ? stack : this.#push(stack, next) })
      }
      if (!node.isEnd) continue
      if (stack === undefined) isComplete = true
      else pending.push({ node: stack.next, stack: stack.below })
    }
    if (ways.length === 0 && !isComplete) return null
    return this.#stateOf(ways, isComplete)
  }

  #stateOf(ways: readonly Way[], isComplete: boolean): State {
    const keys = ways.map(keyOf).sort((a, b) => a - b)
    const name = `${isComplete} ${keys.join(' ')}`
    const known = this.#states.get(name)
    if (known !== undefined) return known
    const state = new State(this, ways, isComplete)
    this.#states.set(name, state)
    this.#work += NEW_STATE
    return state
  }

  #push(below: Stack | undefined, next: Node): Stack {
    const above = below?.above ?? this.#bottoms
    const known = above.get(next)
    if (known !== undefined) return known
    const stack: Stack = { id: ++this.#stacks, next, below, above: new Map() }
    above.set(next, stack)
    return stack
  }
}

function keyOf({ node, stack }: Way): number {
  return node.id * 2 ** 32 + (stack?.id ?? 0)
}

function tooAmbiguous(): ArgumentError {
  const expected = 'a grammar with few ways to read a text'
  return new ArgumentError('responseFormat', expected, 'one that is too ambiguous to follow')
}

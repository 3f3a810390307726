import { TokenTable, type TokenTableData } from '../../text/token-table.js'
import type { ResponseFormat } from '../response-format.js'
import { formatRule } from '../syntax/format-rule.js'
import { buildAutomaton } from './automaton.js'
import { Machine, type MaskSlot, type State } from './machine.js'
import { TokenTrie } from './token-trie.js'

/** Grammars that are kept for later texts; and the states that they may hold together. */
const MAX_GRAMMARS = 64
const MAX_STATES = 500_000

/** Memory of masks that are kept, bytes. */
const MASK_BYTES = 32 << 20

/** The tokens that texts consist of. */
export interface Vocabulary {
  readonly table: TokenTableData
  /** Ids that can be sampled. */
  readonly size: number
  /** Tokens that end a text. */
  readonly endTokens: readonly number[]
}

/** A text that is to be followed. */
export interface OpenRequest {
  /** By which it is known from now on. */
  readonly id: number
  readonly format: ResponseFormat
  /** Tokens of the prompt. */
  readonly promptTokens: number
  /** Those that have followed. */
  readonly tokens: readonly number[]
  /** Where the mask is written: a tag, which is the number of tokens that it follows, and then the bits. */
  readonly mask: Uint32Array
}

/** A text that follows a grammar. */
interface Follower {
  readonly machine: Machine
  state: State
  /** How many tokens there are, those of the prompt among them. */
  length: number
  readonly mask: Uint32Array
}

/** Follows any number of texts through their grammars, and says for each which tokens may be next. */
export class GrammarEngine {
  readonly #table: TokenTable
  readonly #trie: TokenTrie
  readonly #endTokens: readonly number[]
  /** By their formats, the least recently used first. */
  readonly #machines = new Map<string, Machine>()
  readonly #followers = new Map<number, Follower>()
  /** Masks that are kept, the oldest first. */
  readonly #masks: MaskSlot[] = []

  constructor({ table, size, endTokens }: Vocabulary) {
    this.#table = new TokenTable(table)
    this.#trie = new TokenTrie(table, size, endTokens)
    this.#endTokens = endTokens
  }

  /**
   * Begins to follow a text, and writes the mask behind its tokens.
   *
   * @throws ArgumentError for a format that is wrong, or cannot be enforced
   */
  open({ id, format, promptTokens, tokens, mask }: OpenRequest): void {
    const machine = this.#machineOf(format)
    const follower = { machine, state: machine.begin(), length: promptTokens, mask }
    for (const token of tokens) this.#step(follower, token)
    this.#followers.set(id, follower)
    this.#write(follower)
  }

  /** Adds a token that was sampled, and writes the next mask. @throws ArgumentError for a grammar that is too ambiguous */
  accept(id: number, token: number): void {
    const follower = this.#followers.get(id)
    if (follower === undefined || this.#endTokens.includes(token)) return
    this.#step(follower, token)
    this.#write(follower)
  }

  close(id: number): void {
    this.#followers.delete(id)
  }

  #machineOf(format: ResponseFormat): Machine {
    const key = JSON.stringify(format)
    const known = this.#machines.get(key)
    const machine = known ?? new Machine(buildAutomaton(formatRule(format)))
    this.#machines.delete(key)
    this.#machines.set(key, machine)
    let size = [...this.#machines.values()].reduce((sum, { size }) => sum + size, 0)
    for (const [oldest, { size: itsSize }] of this.#machines) {
      const isFew = this.#machines.size <= MAX_GRAMMARS && size <= MAX_STATES
      if (isFew || oldest === key) break
      this.#machines.delete(oldest)
      size -= itsSize
    }
    return machine
  }

  #step(follower: Follower, token: number): void {
    follower.length++
    follower.state = follower.machine.resume(follower.state)
    for (const byte of this.#table.bytesOf(token)) {
      const next = follower.state.step(byte)
      if (next === null) throw new Error(`token ${token} does not follow its grammar`)
      follower.state = next
    }
  }

  /** The bits before the tag, which says that they are there. */
  #write(follower: Follower): void {
    const { machine, length, mask } = follower
    const state = machine.resume(follower.state)
    follower.state = state
    mask.set(state.mask?.bits ?? this.#maskOf(state), 1)
    Atomics.store(mask, 0, length)
  }

  #maskOf(state: State): Uint32Array {
    const slot = { bits: this.#trie.mask(state) }
    state.mask = slot
    this.#masks.push(slot)
    const tooMany = this.#masks.length - Math.ceil(MASK_BYTES / (4 * this.#trie.words))
    for (const old of this.#masks.splice(0, Math.max(0, tooMany))) old.bits = undefined
    return slot.bits
  }
}

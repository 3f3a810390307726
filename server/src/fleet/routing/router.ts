import { BLOCK } from './chain-hashes.js'
import { draw } from './draw.js'
import type { RoutedRequest, WorkerLoad } from './load.js'
import { Member } from './member.js'
import { PrefixIndex } from './prefix-index.js'

/** The figures of the policy: those that are given here are for bench/fleet, which has found the others. */
export interface RouterOptions {
  /** Workers that are compared: so many that have the prefix, and so many of all. */
  readonly candidates?: number
  /** Tokens of an answer, as far as they count. */
  readonly answerTokens?: number
  /** How long a worker is taken to have a prefix after its last use. */
  readonly prefixLifeMillis?: number
  /** Pairs of a prefix and a worker that are remembered. */
  readonly maxPrefixes?: number
  /** Uniform in [0, 1). */
  readonly random?: () => number
}

/** Where a request goes. */
export interface Choice {
  readonly worker: string
  /** Tokens of the prompt that the worker probably has in its cache. */
  readonly cachedTokens: number
  /** How many more another worker probably has, which is too busy for this request. */
  readonly missedTokens: number
}

/**
 * Decides which worker of a model gets a request: the one that it costs least time, its own and that of the requests
 * there, of some that probably have the beginning of its prompt in their cache and some drawn at random. So a worker that
 * has the prefix is chosen unless it is behind by more than the prefix saves; and gateways that choose at the same time,
 * by the same announcements, do not all choose the same.
 *
 * Times are milliseconds of any clock that does not go back.
 */
export class Router {
  /** In any order. */
  readonly #members: Member[] = []
  readonly #byId = new Map<string, Member>()
  readonly #prefixes: PrefixIndex
  readonly #candidates: number
  readonly #answerTokens: number
  readonly #random: () => number

  constructor({
    candidates = 4,
    answerTokens = 128,
    prefixLifeMillis = 5 * 60_000,
    maxPrefixes = 2 ** 18,
    random = Math.random,
  }: RouterOptions = {}) {
    this.#prefixes = new PrefixIndex(prefixLifeMillis, maxPrefixes)
    this.#candidates = candidates
    this.#answerTokens = answerTokens
    this.#random = random
  }

  /** Workers that have announced themselves, and have not left. */
  get size(): number {
    return this.#members.length
  }

  /**
   * A worker has announced its load.
   *
   * @param hashes of the prompts that it was given since its last announcement
   */
  announced(load: WorkerLoad, hashes: readonly number[], now: number): void {
    const member = this.#byId.get(load.id)
    if (member === undefined) {
      const joined = new Member(load)
      this.#byId.set(load.id, joined)
      this.#members.push(joined)
    } else {
      member.announced(load, now)
    }
    this.#prefixes.add(hashes, load.id, now)
  }

  /** A worker has left. */
  left(worker: string): void {
    const member = this.#byId.get(worker)
    if (member === undefined) return
    this.#byId.delete(worker)
    this.#members.splice(this.#members.indexOf(member), 1)
    this.#prefixes.remove(worker)
  }

  /**
   * Where a request should go.
   *
   * @param isEligible whether a worker may get it: not one that has just refused it, for instance
   * @returns undefined where all workers that may get it are full
   */
  choose(
    request: RoutedRequest,
    now: number,
    isEligible: (worker: string) => boolean = () => true,
  ): Choice | undefined {
    const isOpen = (member: Member) => !member.isFull && isEligible(member.id)
    /** How many blocks of the prompt each candidate has. */
    const depths = new Map<Member, number>()
    let longest = 0
    for (const [member, depth] of this.#holders(request, now)) {
      longest = Math.max(longest, depth)
      if (isOpen(member)) depths.set(member, depth)
      if (depths.size >= this.#candidates) break
    }
    let drawn = 0
    for (const member of draw(this.#members, this.#random)) {
      if (!isOpen(member)) continue
      const depth = depths.get(member) ?? this.#prefixes.depth(request.hashes, member.id, now)
      depths.set(member, depth)
      if (++drawn >= this.#candidates) break
    }
    let choice: Choice | undefined
    let least = Number.POSITIVE_INFINITY
    for (const [member, depth] of depths) {
      const cachedTokens = depth * BLOCK
      const cost = member.cost(request.promptTokens - cachedTokens, this.#answerTokens)
      if (cost >= least) continue
      least = cost
      choice = { worker: member.id, cachedTokens, missedTokens: longest * BLOCK - cachedTokens }
    }
    return choice
  }

  /** This gateway has sent a request where it was to go. */
  sent(request: RoutedRequest, { worker, cachedTokens }: Choice, now: number): void {
    this.#byId.get(worker)?.sent(request, request.promptTokens - cachedTokens, now)
    this.#prefixes.add(request.hashes, worker, now)
  }

  /** A request that this gateway has sent there has ended, however it did. */
  ended(request: RoutedRequest, worker: string): void {
    this.#byId.get(worker)?.ended(request)
  }

  /** Workers that probably have a beginning of the prompt, the longest first, with its blocks. */
  *#holders({ hashes }: RoutedRequest, now: number): Generator<[Member, number]> {
    for (const [depth, workers] of this.#prefixes.holders(hashes, now)) {
      for (const worker of draw(workers, this.#random)) {
        const member = this.#byId.get(worker)
        if (member !== undefined) yield [member, depth]
      }
    }
  }
}

import type { RoutedRequest, WorkerLoad } from '../../../server/dist/fleet/routing/load.js'
import { PrefixIndex } from '../../../server/dist/fleet/routing/prefix-index.js'
import { Router, type RouterOptions } from '../../../server/dist/fleet/routing/router.js'
import type { Random } from './random.js'

/** How a gateway chooses workers. */
export interface Policy {
  announced(load: WorkerLoad, hashes: readonly number[], now: number): void
  /** Sends a request to the worker that is returned; undefined where all that are eligible are full. */
  send(
    request: RoutedRequest,
    now: number,
    isEligible: (worker: string) => boolean,
  ): string | undefined
  ended(request: RoutedRequest, worker: string): void
}

/** All, by name. The router may have other figures than its own. */
export const policies = {
  'round robin': (random: Random): Policy => new RoundRobin(random.below(1 << 30)),
  random: (random: Random): Policy => new Anyone(random),
  'least loaded': (random: Random): Policy => new LeastLoaded(random),
  'LocalAI’s figures': (random: Random): Policy => new Threshold(random, 0.3, 2, 1.5),
  dotpool: (random: Random, figures: RouterOptions): Policy => new Dotpool(random, figures),
}

export type PolicyName = keyof typeof policies

/** The policy that is shipped. */
export class Dotpool implements Policy {
  readonly #router: Router

  constructor(random: Random, figures: RouterOptions) {
    this.#router = new Router({ ...figures, random: random.uniform })
  }

  announced(load: WorkerLoad, hashes: readonly number[], now: number): void {
    this.#router.announced(load, hashes, now)
  }

  send(
    request: RoutedRequest,
    now: number,
    isEligible: (worker: string) => boolean,
  ): string | undefined {
    const choice = this.#router.choose(request, now, isEligible)
    if (choice !== undefined) this.#router.sent(request, choice, now)
    return choice?.worker
  }

  ended(request: RoutedRequest, worker: string): void {
    this.#router.ended(request, worker)
  }
}

/** Workers in the order in which they were announced. */
abstract class Members implements Policy {
  protected readonly ids: string[] = []
  readonly #known = new Set<string>()

  announced({ id }: WorkerLoad, _hashes: readonly number[], _now: number): void {
    if (this.#known.has(id)) return
    this.#known.add(id)
    this.ids.push(id)
  }

  abstract send(
    request: RoutedRequest,
    now: number,
    isEligible: (worker: string) => boolean,
  ): string | undefined

  ended(_request: RoutedRequest, _worker: string): void {}
}

class RoundRobin extends Members {
  #next: number

  constructor(first: number) {
    super()
    this.#next = first
  }

  send(_request: RoutedRequest, _now: number, isEligible: (worker: string) => boolean) {
    for (let i = 0; i < this.ids.length; i++) {
      const id = this.ids[this.#next++ % this.ids.length]
      if (isEligible(id)) return id
    }
    return undefined
  }
}

class Anyone extends Members {
  readonly #random: Random

  constructor(random: Random) {
    super()
    this.#random = random
  }

  send(_request: RoutedRequest, _now: number, isEligible: (worker: string) => boolean) {
    const ids = this.ids.filter(isEligible)
    return ids[this.#random.below(ids.length)]
  }
}

/** The fewest requests: as announced, and as sent since. */
class LeastLoaded extends Members {
  protected readonly requests = new Map<string, number>()
  protected readonly random: Random

  constructor(random: Random) {
    super()
    this.random = random
  }

  override announced(load: WorkerLoad, hashes: readonly number[], now: number): void {
    super.announced(load, hashes, now)
    this.requests.set(load.id, load.running + load.waiting)
  }

  send(_request: RoutedRequest, _now: number, isEligible: (worker: string) => boolean) {
    let least = Number.POSITIVE_INFINITY
    let found: string[] = []
    for (const id of this.ids) {
      const requests = this.requestsOf(id)
      if (requests > least || !isEligible(id)) continue
      if (requests < least) found = []
      least = requests
      found.push(id)
    }
    const id = found[this.random.below(found.length)]
    if (id !== undefined) this.requests.set(id, least + 1)
    return id
  }

  override ended(_request: RoutedRequest, worker: string): void {
    this.requests.set(worker, Math.max(this.requestsOf(worker) - 1, 0))
  }

  protected requestsOf(worker: string): number {
    return this.requests.get(worker) ?? 0
  }
}

/**
 * The worker with the longest prefix, if that is enough of the prompt, and the worker has not too many requests more than
 * the one that has least; else that.
 */
class Threshold extends LeastLoaded {
  readonly #prefixes = new PrefixIndex(5 * 60_000, 2 ** 20)
  readonly #match: number
  readonly #gap: number
  readonly #ratio: number

  constructor(random: Random, match: number, gap: number, ratio: number) {
    super(random)
    this.#match = match
    this.#gap = gap
    this.#ratio = ratio
  }

  override announced(load: WorkerLoad, hashes: readonly number[], now: number): void {
    super.announced(load, hashes, now)
    this.#prefixes.add(hashes, load.id, now)
  }

  override send(request: RoutedRequest, now: number, isEligible: (worker: string) => boolean) {
    const { hashes } = request
    const least = Math.min(...this.ids.map((id) => this.requestsOf(id)))
    const most = Math.min(least + this.#gap, least * this.#ratio + 1)
    let id: string | undefined
    for (const [depth, workers] of this.#prefixes.holders(hashes, now)) {
      if (depth < this.#match * hashes.length) break
      const open = workers.filter((worker) => isEligible(worker) && this.requestsOf(worker) <= most)
      id = open[this.random.below(open.length)]
      break
    }
    if (id === undefined) id = super.send(request, now, isEligible)
    else this.requests.set(id, this.requestsOf(id) + 1)
    if (id !== undefined) this.#prefixes.add(hashes, id, now)
    return id
  }
}

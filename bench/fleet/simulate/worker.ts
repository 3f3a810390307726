import { BLOCK } from '../../../server/dist/fleet/routing/chain-hashes.js'
import type { WorkerLoad } from '../../../server/dist/fleet/routing/load.js'
import { ServedPrefixes } from '../../../server/dist/fleet/routing/served-prefixes.js'
import { KvCache } from './kv-cache.js'
import type { Machine } from './machine.js'
import type { SimulatedRequest } from './request.js'
import type { Timeline } from './timeline.js'

/** Rows of a step, as dotpool's scheduler has them. */
const MOST_ROWS = 512
const PREFILL_ROWS_BESIDE_DECODING = 128

/** Seconds that prompts may wait, `--target-ttft`. */
const TARGET_TTFT = 10

/** `--max-queue`. */
const MAX_WAITING = 1024

interface Running {
  readonly request: SimulatedRequest
  /** Tokens of the prompt that are yet to be computed. */
  left: number
  /** Pages that are not published. */
  pages: number
  /** Pages of the chain that are. */
  published: number
  /** The step that makes the last token. */
  lastStep: number
}

/** What a worker tells of a request. */
export interface Listener {
  onFirstToken(request: SimulatedRequest): void
  onEnd(request: SimulatedRequest): void
}

/**
 * A worker: continuous batching with chunked prefill and shared prefixes, as dotpool's scheduler does it. It differs where
 * that changes little: pages for the whole answer are reserved at the start, so nobody is preempted, and the computation
 * of attention in prefill does not grow with the context.
 */
export class SimulatedWorker {
  readonly id: string
  readonly machine: Machine
  readonly #timeline: Timeline
  readonly #listener: Listener
  readonly #cache: KvCache
  readonly #served = new ServedPrefixes()
  readonly #waiting: SimulatedRequest[] = []
  /** First come, first served. */
  readonly #prefilling: Running[] = []
  #decoding: Running[] = []
  /** Tokens of the contexts of what decodes. */
  #context = 0
  /** Of those that wait and those that are in prefill. */
  #waitingTokens = 0
  /** Steps so far, of which the last may be under way. */
  #steps = 0
  /** The first step that ends a request. */
  #nextEnd = Number.POSITIVE_INFINITY
  #isStepping = false
  /** Milliseconds in steps. */
  busy = 0

  constructor(id: string, machine: Machine, pages: number, timeline: Timeline, listener: Listener) {
    this.id = id
    this.machine = machine
    this.#cache = new KvCache(pages)
    this.#timeline = timeline
    this.#listener = listener
  }

  get load(): WorkerLoad {
    const { prefillRate, decodeRate } = this.machine
    return {
      id: this.id,
      running: this.#prefilling.length + this.#decoding.length,
      waiting: this.#waiting.length,
      waitingTokens: this.#waitingTokens,
      maxWaiting: MAX_WAITING,
      maxWaitingTokens: TARGET_TTFT * prefillRate,
      prefillRate,
      decodeRate,
    }
  }

  /** What to announce of prefixes since the last time. */
  takeServed(): number[] {
    return this.#served.take()
  }

  /** Takes a request; false where it has no room. */
  take(request: SimulatedRequest): boolean {
    const { waiting, maxWaiting, maxWaitingTokens } = this.load
    if (waiting >= maxWaiting || this.#waitingTokens > maxWaitingTokens) return false
    this.#waiting.push(request)
    this.#waitingTokens += request.promptTokens
    this.#served.add(request.hashes)
    if (!this.#isStepping) this.#step()
    return true
  }

  #step(): void {
    this.#admit()
    const rows = this.#decoding.length
    const room = rows > 0 ? Math.min(MOST_ROWS - rows, PREFILL_ROWS_BESIDE_DECODING) : MOST_ROWS
    let prefill = 0
    for (const running of this.#prefilling) {
      const tokens = Math.min(running.left, room - prefill)
      running.left -= tokens
      prefill += tokens
      if (prefill === room) break
    }
    this.#isStepping = rows + prefill > 0
    if (!this.#isStepping) return
    const { step, decodeRow, contextToken, prefillRow } = this.machine
    const millis = step + rows * decodeRow + this.#context * contextToken + prefill * prefillRow
    this.busy += millis
    this.#steps++
    this.#context += rows
    this.#waitingTokens -= prefill
    this.#timeline.after(millis, () => this.#land())
  }

  /** Takes the outcome of a step, and begins the next. */
  #land(): void {
    if (this.#steps >= this.#nextEnd) {
      const ended = this.#decoding.filter(({ lastStep }) => lastStep <= this.#steps)
      this.#decoding = this.#decoding.filter(({ lastStep }) => lastStep > this.#steps)
      this.#nextEnd = Math.min(...this.#decoding.map(({ lastStep }) => lastStep))
      for (const running of ended) this.#end(running)
    }
    while (this.#prefilling.length > 0 && this.#prefilling[0].left === 0) {
      this.#beginAnswer(this.#prefilling.shift() as Running)
    }
    this.#step()
  }

  #admit(): void {
    while (
      this.#waiting.length > 0 &&
      this.#prefilling.length + this.#decoding.length < MOST_ROWS
    ) {
      const [request] = this.#waiting
      const { hashes, promptTokens, answerTokens } = request
      const shared = this.#cache.find(hashes)
      const pages = Math.ceil((promptTokens + answerTokens) / BLOCK) - shared
      if (!this.#cache.take(hashes, shared, pages)) return
      this.#waiting.shift()
      // the last token is computed in any case: its logits are needed
      request.cachedTokens = Math.min(shared * BLOCK, promptTokens - 1)
      this.#waitingTokens -= request.cachedTokens
      const left = promptTokens - request.cachedTokens
      this.#prefilling.push({ request, left, pages, published: shared, lastStep: 0 })
    }
  }

  /** The prompt is computed, and with it the first token. */
  #beginAnswer(running: Running): void {
    const { request } = running
    this.#publish(running, request.hashes)
    this.#listener.onFirstToken(request)
    if (request.answerTokens === 1) {
      this.#end(running)
      return
    }
    running.lastStep = this.#steps + request.answerTokens - 1
    this.#nextEnd = Math.min(this.#nextEnd, running.lastStep)
    this.#decoding.push(running)
    this.#context += request.promptTokens + 1
  }

  #end(running: Running): void {
    const { request } = running
    if (running.lastStep > 0) this.#context -= request.promptTokens + request.answerTokens
    this.#publish(running, request.chain)
    this.#cache.release(request.chain, running.pages)
    this.#listener.onEnd(request)
  }

  #publish(running: Running, chain: readonly number[]): void {
    this.#cache.publish(chain, running.published, chain.length)
    running.pages -= chain.length - running.published
    running.published = chain.length
  }
}

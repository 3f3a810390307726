import type { RoutedRequest, WorkerLoad } from './load.js'

/** How long an announcement may be under way, milliseconds: it may lack what was sent less than that before it came. */
const LAG_MILLIS = 100

interface Sent {
  readonly request: RoutedRequest
  /** That the worker is expected to compute. */
  readonly tokens: number
  readonly at: number
}

/** A worker as this gateway sees it: its last announcement, corrected by what the gateway has sent and got back since. */
export class Member {
  #load: WorkerLoad
  #sent: Sent[] = []
  #ended = 0

  constructor(load: WorkerLoad) {
    this.#load = load
  }

  get id(): string {
    return this.#load.id
  }

  /** Takes a new announcement. */
  announced(load: WorkerLoad, now: number): void {
    this.#load = load
    this.#sent = this.#sent.filter(({ at }) => at > now - LAG_MILLIS)
    this.#ended = 0
  }

  /** The gateway has sent it a request. */
  sent(request: RoutedRequest, tokens: number, now: number): void {
    this.#sent.push({ request, tokens, at: now })
  }

  /** A request that the gateway had sent has ended. */
  ended(request: RoutedRequest): void {
    const sent = this.#sent.findIndex((other) => other.request === request)
    if (sent < 0) this.#ended++
    else this.#sent.splice(sent, 1)
  }

  /**
   * Whether it refused one more request when it announced its load. What was sent since may run by now, so it does not
   * count: to try a worker that is full costs less than to refuse a request for which there is room.
   */
  get isFull(): boolean {
    const { waiting, maxWaiting, waitingTokens, maxWaitingTokens } = this.#load
    return waiting - this.#ended >= maxWaiting || waitingTokens > maxWaitingTokens
  }

  /**
   * What one more request costs there: its own time and that of the others that it holds up, seconds. First it waits for
   * what waits. Computing its prompt holds up all others. Each step of its answer has their rows, and theirs have one
   * more. A row costs as much as a token of a prompt.
   */
  cost(promptTokens: number, answerTokens: number): number {
    const { running, waiting, waitingTokens, prefillRate, decodeRate } = this.#load
    const others = Math.max(running + waiting - this.#ended, 0) + this.#sent.length
    const ahead = this.#sent.reduce((sum, { tokens }) => sum + tokens, waitingTokens)
    const rows = ahead + promptTokens * (1 + others) + answerTokens * 2 * others
    return rows / prefillRate + answerTokens / decodeRate
  }
}

/** What a worker announces of a model, as far as routing goes by it. */
export interface WorkerLoad {
  readonly id: string
  /** Requests that run. */
  readonly running: number
  /** Requests that wait to run. */
  readonly waiting: number
  /** Tokens of prompts that are yet to be computed. */
  readonly waitingTokens: number
  /** Requests that may wait: while so many do, others are refused. */
  readonly maxWaiting: number
  /** Tokens that may wait: while more do, requests are refused. */
  readonly maxWaitingTokens: number
  /** Tokens of a prompt that it computes in a second. */
  readonly prefillRate: number
  /** Tokens that a request gets in a second while it runs alone. */
  readonly decodeRate: number
}

/** What routing knows of a request. */
export interface RoutedRequest {
  /** Of its prompt, by `chainHashes`. */
  readonly hashes: readonly number[]
  readonly promptTokens: number
}

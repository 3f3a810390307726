/** A request of the simulation, with what becomes of it. */
export interface SimulatedRequest {
  /** Hashes of the whole blocks of the prompt: what routing goes by. */
  readonly hashes: readonly number[]
  readonly promptTokens: number
  /** Hashes of the whole blocks of prompt and answer: what the next turn of the conversation begins with. */
  readonly chain: readonly number[]
  readonly answerTokens: number
  /** When it came to the gateway, milliseconds. */
  readonly sent: number
  /** Tokens of the prompt that the worker had in its cache. */
  cachedTokens: number
  /** When the first token came to the gateway. */
  firstToken: number
  /** When the last came. */
  ended: number
  /** Whether all workers that were asked had no room. */
  isRefused: boolean
}

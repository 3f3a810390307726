import { encode, type TellMessage, type WireChunk } from '../messages.js'

/** Chunks that come within this time are told together. */
const COALESCE_MILLIS = 1

/** Tells a gateway of one attempt: numbered messages, of which the first goes at once, and at most one a millisecond. */
export class Teller {
  readonly #send: (payload: Uint8Array) => void
  readonly #fingerprint: string | undefined
  #sequence = 0
  #chunks: WireChunk[] = []
  #lastAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  /** @param fingerprint of the model that does the work, if any does */
  constructor(send: (payload: Uint8Array) => void, fingerprint: string | undefined) {
    this.#send = send
    this.#fingerprint = fingerprint
  }

  push(chunk: WireChunk): void {
    this.#chunks.push(chunk)
    if (performance.now() - this.#lastAt >= COALESCE_MILLIS) this.#tell({})
    else this.#timer ??= setTimeout(() => this.#tell({}), COALESCE_MILLIS)
  }

  /** The last message. */
  end(outcome: Pick<TellMessage, 'result' | 'vectors' | 'error'>): void {
    this.#tell(outcome)
  }

  /** Tells nothing more. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #tell(outcome: Pick<TellMessage, 'result' | 'vectors' | 'error'>): void {
    this.stop()
    const chunks = this.#chunks
    this.#chunks = []
    const sequence = this.#sequence++
    const message: TellMessage = {
      sequence,
      ...(sequence === 0 && this.#fingerprint !== undefined && { fingerprint: this.#fingerprint }),
      ...(chunks.length > 0 && { chunks }),
      ...outcome,
    }
    this.#send(encode(message))
    this.#lastAt = performance.now()
  }
}

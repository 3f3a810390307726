import type { Model } from '../model/model.js'
import type { Pool } from '../pool/pool.js'
import { count, digits, duration } from './text.js'

/** Takes the times of a generation. Decoding is what comes after the first piece of text. */
export class Stopwatch {
  readonly #model: Model
  /** Tokens up to the first piece, which reading the prompt is part of. */
  #firstTokens = 0
  /** Since the process started, milliseconds. */
  #firstAt: number | undefined
  #lastAt = 0

  constructor(model: Model) {
    this.#model = model
    model.timing.reset()
  }

  /** Call for every piece of text. */
  lap(): void {
    this.#lastAt = performance.now()
    if (this.#firstAt !== undefined) return
    this.#firstAt = this.#lastAt
    this.#firstTokens = this.#model.timing.forwards
    this.#model.timing.reset()
  }

  /** One line: how fast it went, on what. */
  summary(pool: Pool): string {
    const { forwards, microseconds, int8, float32 } = this.#model.timing
    const parts = [count(this.#firstTokens + forwards, 'token')]
    if (this.#firstAt !== undefined && forwards > 0) {
      const inLinears = int8.microseconds + float32.microseconds
      const weightBytes = int8.weightBytes + float32.weightBytes
      parts.push(
        `${digits((forwards / (this.#lastAt - this.#firstAt)) * 1e3)} tokens/s`,
        `${digits(weightBytes / inLinears / 1e3)} GB/s of weights`,
        `${digits((inLinears / microseconds) * 100)}% of the time in Linears`,
      )
    }
    parts.push(`${pool.isa} on ${count(pool.threads, 'thread')}`)
    if (this.#firstAt !== undefined) {
      parts.push(`first token ${duration(this.#firstAt * 1e3)} after the start`)
    }
    return parts.join(', ')
  }
}

import type { ModelStats } from '../model/decoder/scheduler.js'
import type { Model } from '../model/model.js'
import type { Pool } from '../pool/pool.js'
import { count, digits, duration } from './text.js'

/** Takes the times of a generation. Decoding is what comes after the first piece of text. */
export class Stopwatch {
  readonly #model: Model
  #first: ModelStats | undefined
  /** Since the process started, milliseconds. */
  #firstAt = 0
  #lastAt = 0

  constructor(model: Model) {
    this.#model = model
  }

  /** Call for every piece of text. */
  lap(): void {
    this.#lastAt = performance.now()
    if (this.#first !== undefined) return
    this.#first = this.#model.stats()
    this.#firstAt = this.#lastAt
  }

  /** One line: how fast it went, on what. */
  summary(pool: Pool): string {
    const { steps } = this.#model.stats()
    const parts = [count(steps, 'step')]
    const decoded = steps - (this.#first?.steps ?? steps)
    if (decoded > 0) {
      const perSecond = (decoded / (this.#lastAt - this.#firstAt)) * 1e3
      parts.push(
        `${digits(perSecond)} tokens/s`,
        `${digits((perSecond * this.#model.weightBytes) / 1e9)} GB/s of weights`,
      )
    }
    parts.push(`${pool.isa} on ${count(pool.threads, 'thread')}`)
    if (this.#first !== undefined) {
      parts.push(`first text ${duration(this.#firstAt * 1e3)} after the start`)
    }
    return parts.join(', ')
  }
}

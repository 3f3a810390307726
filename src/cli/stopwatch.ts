import { count, digits, duration } from '../measure/quantities.js'
import type { ModelStats } from '../model/decoder/scheduler.js'
import type { Model } from '../model/model.js'

interface Lap extends ModelStats {
  /** Since the process started, milliseconds. */
  at: number
}

/** Times a generation. Decode starts after its first piece. */
export class Stopwatch {
  readonly #model: Model
  readonly #startedAt: number
  readonly #tokensBefore: number
  #first: Lap | undefined
  #last: Lap | undefined

  /** @param startedAt when the generation was requested, milliseconds since the process started */
  constructor(model: Model, startedAt = performance.now()) {
    this.#model = model
    this.#startedAt = startedAt
    this.#tokensBefore = model.stats().tokens
  }

  /** Call for every piece of text. */
  lap(): void {
    this.#last = { ...this.#model.stats(), at: performance.now() }
    this.#first ??= this.#last
  }

  /** One line: the speed, on what hardware. */
  summary(): string {
    const { isa, threads } = this.#model.pool
    return [...this.#times(), `${isa} on ${count(threads, 'thread')}`].join(', ')
  }

  #times(): string[] {
    const [first, last] = [this.#first, this.#last]
    if (first === undefined || last === undefined) return ['no text']
    const waited = duration((first.at - this.#startedAt) * 1e3)
    const read = count(first.tokens - this.#tokensBefore, 'token')
    const times = [`first text after ${waited} and ${read}`]
    // this is the only request, so a step is a token
    const tokens = last.steps - first.steps
    if (tokens === 0) return times
    const millis = last.at - first.at
    const perSecond = (tokens / millis) * 1e3
    const share = (last.micros - first.micros) / 1e3 / millis
    return [
      ...times,
      `then ${count(tokens, 'token')} at ${digits(perSecond)} tokens/s`,
      `${digits((perSecond * this.#model.weightBytes) / 1e9)} GB/s of weights`,
      `${Math.round(share * 100)} % of the time in steps`,
    ]
  }
}

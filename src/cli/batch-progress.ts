import { SingleBar } from 'cli-progress'
import { count, digits, duration } from '../measure/quantities.js'

/** Lines that are done, as batches count them. */
export interface Counts {
  readonly total: number
  readonly completed: number
  readonly failed: number
}

/** Shows how far a batch is on stderr, if that is a terminal, and sums it up. */
export class BatchProgress implements Disposable {
  /** When lines began to run. */
  #start = performance.now()
  readonly #bar = new SingleBar({
    format:
      '{bar} {percentage}% | {value}/{total} lines | {rate} lines/s | {eta_formatted} | {errors}',
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    // of the last lines, which may be long or short
    etaBuffer: 100,
  })
  /** Done before this command. */
  #before: number | undefined
  #counts: Counts = { total: 0, completed: 0, failed: 0 }

  show(counts: Counts): void {
    const { total, completed, failed } = counts
    // not known yet
    if (total === 0) return
    this.#counts = counts
    const done = completed + failed
    const payload = { rate: digits(this.#rate), errors: count(failed, 'error') }
    if (this.#before === undefined) {
      this.#before = done
      this.#start = performance.now()
      this.#bar.start(total, done, payload)
    } else this.#bar.update(done, payload)
  }

  /** How far it was, and how long that took. */
  summary(): string {
    const { total, completed, failed } = this.#counts
    const left = total - completed - failed
    const parts = [
      `${count(total, 'line')}: ${completed} succeeded, ${failed} failed`,
      ...(left > 0 ? [`${left} left`] : []),
      `${duration((performance.now() - this.#start) * 1e3)} at ${digits(this.#rate)} lines/s`,
    ]
    return parts.join(', ')
  }

  [Symbol.dispose](): void {
    this.#bar.stop()
  }

  /** Lines per second of this command. */
  get #rate(): number {
    const { completed, failed } = this.#counts
    const done = completed + failed - (this.#before ?? 0)
    return (done * 1e3) / (performance.now() - this.#start)
  }
}

import { encode } from '../messages.js'
import type { Bucket } from '../transport/transport.js'
import { type Announcement, REFRESH_MILLIS } from './announcement.js'

/** Says of a worker what there is to say, again and again, until it leaves. */
export class Announcer {
  readonly #bucket: Bucket
  readonly #worker: string
  readonly #describe: () => Announcement
  readonly #onFailure: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #putting: Promise<void> | undefined

  /** @param onFailure a refresh has failed; the next may not */
  constructor(
    bucket: Bucket,
    worker: string,
    describe: () => Announcement,
    onFailure: (error: unknown) => void,
  ) {
    this.#bucket = bucket
    this.#worker = worker
    this.#describe = describe
    this.#onFailure = onFailure
  }

  /** Resolves once it is known. @throws why it cannot be */
  async begin(): Promise<void> {
    await this.#put()
    this.#timer = setInterval(() => this.refresh(), REFRESH_MILLIS)
  }

  /** Says at once what has changed. */
  refresh(): void {
    // where the last is not there yet, the next comes soon
    if (this.#putting === undefined) this.repeat()
  }

  /** Says it once more, whatever becomes of what was said last: the connection was lost meanwhile. */
  repeat(): void {
    this.#put().catch(this.#onFailure)
  }

  /** Is gone, for all who watch. */
  async leave(): Promise<void> {
    clearInterval(this.#timer)
    await this.#putting?.catch(() => {})
    await this.#bucket.delete(this.#worker)
  }

  #put(): Promise<void> {
    const putting = this.#bucket.put(this.#worker, encode(this.#describe())).finally(() => {
      if (this.#putting === putting) this.#putting = undefined
    })
    this.#putting = putting
    return putting
  }
}

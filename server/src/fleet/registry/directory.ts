import { EventEmitter } from 'node:events'
import type { Bucket, Subscription } from '../transport/transport.js'
import {
  type AnnouncedModel,
  type Announcement,
  LIFE_MILLIS,
  readAnnouncement,
} from './announcement.js'

/** Why a worker is there no more: it said so, nobody listens where it did, or nothing was heard of it for a while. */
export type Leaving = 'left' | 'gone' | 'silent'

export interface DirectoryEvents {
  joined: [worker: KnownWorker]
  announced: [worker: KnownWorker]
  left: [worker: KnownWorker, why: Leaving]
}

/** A worker, as it has last announced itself. */
export class KnownWorker {
  readonly id: string
  announcement: Announcement
  /** Ticks since something was heard of it. */
  quietTicks = 0

  constructor(id: string, announcement: Announcement) {
    this.id = id
    this.announcement = announcement
  }

  model(name: string): AnnouncedModel | undefined {
    return this.announcement.models.find((model) => model.name === name)
  }
}

/**
 * The workers of a fleet. Time is counted in ticks, and one that comes late counts once: so nobody is given up because
 * this process was stopped, or its event loop busy.
 */
export class Directory {
  readonly events = new EventEmitter<DirectoryEvents>()
  readonly #workers = new Map<string, KnownWorker>()
  readonly #watching: Subscription
  readonly #maxQuietTicks: number

  /** @param tickMillis how often {@link tick} is called */
  constructor(bucket: Bucket, tickMillis: number) {
    this.#maxQuietTicks = Math.ceil(LIFE_MILLIS / tickMillis)
    this.#watching = bucket.watch((id, value) => {
      if (value === undefined) this.remove(id, 'left')
      else this.#announced(id, value)
    })
  }

  get workers(): ReadonlyMap<string, KnownWorker> {
    return this.#workers
  }

  /** Something was heard of a worker. */
  heard(id: string): void {
    const worker = this.#workers.get(id)
    if (worker !== undefined) worker.quietTicks = 0
  }

  /** Removes workers that nothing was heard of for too long. */
  tick(): void {
    for (const [id, worker] of this.#workers) {
      if (++worker.quietTicks > this.#maxQuietTicks) this.remove(id, 'silent')
    }
  }

  remove(id: string, why: Leaving): void {
    const worker = this.#workers.get(id)
    if (worker === undefined) return
    this.#workers.delete(id)
    this.events.emit('left', worker, why)
  }

  close(): void {
    this.#watching.end()
  }

  #announced(id: string, value: Uint8Array): void {
    const announcement = readAnnouncement(value)
    if (announcement === undefined) return
    const known = this.#workers.get(id)
    const worker = known ?? new KnownWorker(id, announcement)
    worker.announcement = announcement
    worker.quietTicks = 0
    this.#workers.set(id, worker)
    this.events.emit('announced', worker)
    if (known === undefined) this.events.emit('joined', worker)
  }
}

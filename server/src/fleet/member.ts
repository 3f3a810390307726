import { once } from 'node:events'
import { ArgumentError } from 'dotpool'
import type { FastifyBaseLogger } from 'fastify'
import { ModelStore } from '../models/store.js'
import { within } from '../within.js'
import { FleetCatalog } from './gateway/catalog.js'
import { Gateway } from './gateway/gateway.js'
import { patiently } from './patiently.js'
import { LIFE_MILLIS, REFRESH_MILLIS } from './registry/announcement.js'
import type { Subjects } from './subjects.js'
import type { Transport } from './transport/transport.js'
import { FleetWorker } from './worker/worker.js'

/** What a member of a fleet is: a worker has models, a gateway speaks HTTP. */
export type FleetRole = 'worker' | 'gateway'

export interface MemberParts {
  readonly transport: Transport
  readonly subjects: Subjects
  /** Undefined: both. */
  readonly role: FleetRole | undefined
  /** The models of a worker. */
  readonly store: ModelStore | undefined
  readonly log: FastifyBaseLogger
}

/** @throws ArgumentError for a worker without models, or a gateway with some */
export function checkRole(role: FleetRole | undefined, store: ModelStore | undefined): void {
  if ((store === undefined) === (role === 'gateway')) return
  const expected = role === 'gateway' ? 'none, for a gateway has no models' : 'models to serve'
  throw new ArgumentError('models', expected, store === undefined ? 'none' : 'some')
}

/** A process's part in a fleet. */
export class FleetMember {
  /** Undefined where it is a gateway only. */
  readonly worker: FleetWorker | undefined
  /** Undefined where it is a worker only, as the models of the fleet. */
  readonly gateway: Gateway | undefined
  readonly catalog: FleetCatalog | undefined
  /** The models of this process. */
  readonly store: ModelStore
  readonly #transport: Transport
  readonly #subjects: Subjects
  readonly #log: FastifyBaseLogger

  constructor({ transport, subjects, role, store, log }: MemberParts) {
    this.#log = log
    this.#transport = transport
    this.#subjects = subjects
    this.store = store ?? new ModelStore({})
    transport.events.on('lost', () => log.warn('the connection to the fleet is lost'))
    transport.events.on('restored', () => log.info('the connection to the fleet is back'))
    transport.events.on('failed', (error) => {
      log.warn({ reason: String(error) }, 'something failed at the connection to the fleet')
    })
    if (role !== 'gateway') {
      this.worker = new FleetWorker({ transport, subjects, store: this.store, log })
    }
    if (role !== 'worker') {
      this.gateway = new Gateway({ transport, subjects })
      // each worker says what it is about so often
      const known = within(1.5 * REFRESH_MILLIS, once(this.gateway.events, 'joined'))
      const blobs = transport.blobs(subjects.texts)
      this.catalog = new FleetCatalog(
        this.gateway,
        blobs,
        this.store,
        known.then(() => {}),
      )
    }
  }

  /** Resolves once it does its part. @throws why it cannot */
  async join(): Promise<void> {
    const bucket = this.#transport.bucket(this.#subjects.workers, LIFE_MILLIS)
    await patiently(this.#log, () => bucket.open())
    await this.worker?.join()
    await this.catalog?.ready
  }

  /** Takes no more work of the fleet, and returns once there is none, or the time is up. */
  async drain(millis: number): Promise<void> {
    await this.worker?.drain(millis)
  }

  /** Leaves the fleet. */
  async close(): Promise<void> {
    await this.worker?.close()
    this.gateway?.close()
    this.catalog?.close()
    await this.#transport.close()
  }
}

import { hostname } from 'node:os'
import { type Model, QueueFullError } from 'dotpool'
import type { FastifyBaseLogger } from 'fastify'
import { ApiError, toApiError, unavailable } from '../../errors.js'
import { secondsToRoom } from '../../models/room.js'
import type { ModelStore } from '../../models/store.js'
import { within } from '../../within.js'
import { makeMemberId } from '../member-id.js'
import {
  type CancelMessage,
  decodeTokens,
  type EmbedMessage,
  encode,
  type FlowMessage,
  type GenerateMessage,
  type LeaseMessage,
  readCancel,
  readEmbed,
  readFlow,
  readGenerate,
  readLease,
} from '../messages.js'
import { patiently } from '../patiently.js'
import { LIFE_MILLIS } from '../registry/announcement.js'
import { Announcer } from '../registry/announcer.js'
import { chainHashes } from '../routing/chain-hashes.js'
import { type Ask, lastWord, type Subjects } from '../subjects.js'
import type { Message, Transport } from '../transport/transport.js'
import { LEAVING, toWireError } from '../wire-error.js'
import { Attempt, CancelledError, type Outcome } from './attempt.js'
import { AttemptRecord } from './attempt-record.js'
import { ServedModels } from './served-models.js'
import { Teller } from './teller.js'

export interface WorkerParts {
  readonly transport: Transport
  readonly subjects: Subjects
  readonly store: ModelStore
  readonly log: FastifyBaseLogger
}

/** How often gateways are looked after. */
const TICK_MILLIS = 250
/** A gateway that was not heard of for more ticks is gone. */
const MAX_QUIET_TICKS = 6
/** How much the last request weighs in the mean time of requests. */
const MEAN_WEIGHT = 0.1
/** The time to tell gateways what others are to do, when the worker ends. */
const FAREWELL_MILLIS = 1000

type Work = GenerateMessage | EmbedMessage

/** Does the work of a fleet, on the models of this process. */
export class FleetWorker {
  readonly id = makeMemberId()
  readonly #parts: WorkerParts
  readonly #models: ServedModels
  readonly #announcer: Announcer
  readonly #attempts = new Map<string, Attempt>()
  /** By gateway: ticks since it was heard of. */
  readonly #quietTicks = new Map<string, number>()
  /** Of texts that are taken all, or none; by gateway and group. */
  readonly #groups = new Map<string, { readonly group: object; users: number }>()
  readonly #stops: (() => void)[] = []
  #state: 'joining' | 'serving' | 'draining' = 'joining'
  #meanSeconds = 1
  #whenIdle: (() => void) | undefined

  constructor(parts: WorkerParts) {
    const { transport, subjects, store, log } = parts
    this.#parts = parts
    this.#models = new ServedModels(store)
    this.#announcer = new Announcer(
      transport.bucket(subjects.workers, LIFE_MILLIS),
      this.id,
      () => ({
        host: hostname(),
        isDraining: this.#state === 'draining',
        models: this.#models.announce(),
      }),
      (error) => log.warn({ reason: String(error) }, 'could not be announced to the fleet'),
    )
  }

  /** Attempts that it works on. */
  get size(): number {
    return this.#attempts.size
  }

  /** @throws ApiError unless it serves the fleet */
  checkReady(): void {
    if (this.#state === 'draining') throw leaving()
    if (this.#state === 'joining') throw unavailable('the worker has not joined the fleet yet')
    if (!this.#parts.transport.isConnected) throw unavailable('the connection to NATS is lost')
  }

  /**
   * Loads each model once, to find out what it is, and joins the fleet.
   *
   * @throws why a model cannot be loaded, or the fleet not be joined
   */
  async join(): Promise<void> {
    const { store, transport, subjects, log } = this.#parts
    await store.ready
    const { signal } = new AbortController()
    for (const name of store.names) {
      using lease = await store.acquire(name, signal)
      await this.#models.describe(name, lease.model)
    }
    await patiently(log, () => this.#publishTexts())
    const onRestored = () => {
      this.#announcer.repeat()
      this.#publishTexts().catch((error) => {
        log.warn({ reason: String(error) }, 'the texts of models could not be published')
      })
    }
    transport.events.on('restored', onRestored)
    const ticking = setInterval(() => this.#tick(), TICK_MILLIS)
    const subscription = transport.subscribe(subjects.toWorker(this.id, '*'), {
      onMessage: (message) => this.#onMessage(message),
    })
    this.#stops.push(
      () => transport.events.off('restored', onRestored),
      () => clearInterval(ticking),
      () => subscription.end(),
    )
    await patiently(log, () => this.#announcer.begin())
    if (this.#state === 'joining') this.#state = 'serving'
    log.info({ worker: this.id, models: store.names }, 'joined the fleet')
  }

  /** Takes nothing new, and returns once all is done; when the time is up, others do what is left. */
  async drain(millis: number): Promise<void> {
    const { log } = this.#parts
    this.#state = 'draining'
    this.#announcer.refresh()
    log.info({ worker: this.id, attempts: this.#attempts.size }, 'leaving the fleet')
    if (this.#attempts.size > 0) await within(millis, this.#idle())
    for (const attempt of this.#attempts.values()) attempt.end(leaving())
    if (this.#attempts.size > 0) await within(FAREWELL_MILLIS, this.#idle())
  }

  /** Leaves the fleet: what it still works on ends. */
  async close(): Promise<void> {
    this.#state = 'draining'
    for (const stop of this.#stops.splice(0)) stop()
    for (const attempt of this.#attempts.values()) attempt.end(new CancelledError())
    await this.#announcer.leave().catch((error) => {
      const line = { reason: String(error) }
      this.#parts.log.warn(line, 'the fleet was not told of the leaving')
    })
  }

  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle = resolve
    })
  }

  async #publishTexts(): Promise<void> {
    const { transport, subjects } = this.#parts
    const blobs = transport.blobs(subjects.texts)
    for (const { texts } of this.#models.described) {
      if (!(await blobs.has(texts.digest))) await blobs.put(texts.digest, texts.bytes)
    }
  }

  /** Ends the work of gateways that are gone. */
  #tick(): void {
    for (const [gateway, ticks] of this.#quietTicks) {
      this.#quietTicks.set(gateway, ticks + 1)
      if (ticks < MAX_QUIET_TICKS) continue
      this.#quietTicks.delete(gateway)
      this.#cancel(gateway, () => false)
    }
  }

  /** Ends the attempts of a gateway but those that it waits for. */
  #cancel(gateway: string, isWanted: (attempt: string) => boolean): void {
    for (const attempt of this.#attempts.values()) {
      if (attempt.gateway === gateway && !isWanted(attempt.id)) attempt.end(new CancelledError())
    }
  }

  #onMessage({ subject, payload }: Message): void {
    const isUnderstood = this.#handle(lastWord(subject) as Ask, payload)
    if (!isUnderstood) this.#parts.log.warn({ subject }, 'a message was not understood')
  }

  /** Returns whether it has understood the message. */
  #handle(ask: Ask, payload: Uint8Array): boolean {
    switch (ask) {
      case 'generate':
        return this.#onWork(readGenerate(payload))
      case 'embed':
        return this.#onWork(readEmbed(payload))
      case 'cancel':
        return this.#onCancel(readCancel(payload))
      case 'flow':
        return this.#onFlow(readFlow(payload))
      case 'lease':
        return this.#onLease(readLease(payload))
      default:
        return false
    }
  }

  #onCancel(message: CancelMessage | undefined): boolean {
    if (message === undefined) return false
    this.#attempts.get(message.attempt)?.end(new CancelledError())
    return true
  }

  #onFlow(message: FlowMessage | undefined): boolean {
    if (message === undefined) return false
    const attempt = this.#attempts.get(message.attempt)
    if (message.isPaused) attempt?.pause()
    else attempt?.resume()
    return true
  }

  #onLease(lease: LeaseMessage | undefined): boolean {
    if (lease === undefined) return false
    const { gateway, attempts } = lease
    const wanted = new Set(attempts)
    this.#quietTicks.set(gateway, 0)
    this.#cancel(gateway, (attempt) => wanted.has(attempt))
    const unknown = attempts.filter((attempt) => !this.#attempts.has(attempt))
    const { transport, subjects } = this.#parts
    transport.publish(subjects.toGateway(gateway, 'lease', this.id), encode({ unknown }))
    return true
  }

  #onWork(work: Work | undefined): boolean {
    if (work === undefined) return false
    this.#quietTicks.set(work.gateway, 0)
    // known at once, for the next message may be about it
    const attempt = new Attempt(work)
    this.#attempts.set(attempt.id, attempt)
    void this.#work(attempt, work).finally(() => {
      this.#attempts.delete(attempt.id)
      if (this.#attempts.size === 0) this.#whenIdle?.()
    })
    return true
  }

  /** Works on an attempt, and tells its gateway what it comes to. */
  async #work(attempt: Attempt, work: Work): Promise<void> {
    const { store, transport, subjects, log } = this.#parts
    const { model: name } = work
    const record = new AttemptRecord(work, log)
    const send = (payload: Uint8Array) => {
      transport.publish(subjects.toGateway(attempt.gateway, 'work', attempt.id), payload)
    }
    let teller = new Teller(send, undefined)
    using group = this.#group(work)
    try {
      if (this.#state === 'draining') throw leaving()
      using lease = await store.acquire(name, attempt.signal)
      const { fingerprint } = await this.#models.describe(name, lease.model)
      if (work.fingerprint !== undefined && work.fingerprint !== fingerprint) {
        throw unavailable(`the model ${name} has other weights there`)
      }
      teller = new Teller(send, fingerprint)
      record.completed(await this.#run(attempt, lease.model, work, group.of, teller))
      this.#meanSeconds += MEAN_WEIGHT * (record.millis / 1000 - this.#meanSeconds)
    } catch (error) {
      teller.stop()
      if (!attempt.isCancelled)
        teller.end({ error: toWireError(this.#withRetryAfter(error, name)) })
      record.failed(attempt.isCancelled ? attempt.signal.reason : error)
    }
  }

  async #run(
    attempt: Attempt,
    model: Model,
    work: Work,
    group: object | undefined,
    teller: Teller,
  ): Promise<Outcome> {
    if ('texts' in work) return await attempt.embed(model, work, teller)
    this.#models.taken(work.model, chainHashes(decodeTokens(work.prompt), work.model))
    return await attempt.generate(model, work, group, teller)
  }

  /** The object that stands for a group, while there are attempts of it. */
  #group(work: Work): Disposable & { readonly of: object | undefined } {
    const name = 'group' in work ? work.group : undefined
    if (name === undefined) return { of: undefined, [Symbol.dispose]: () => {} }
    const key = `${work.gateway}.${name}`
    const shared = this.#groups.get(key) ?? { group: {}, users: 0 }
    this.#groups.set(key, shared)
    shared.users++
    const leave = () => {
      if (--shared.users === 0) this.#groups.delete(key)
    }
    return { of: shared.group, [Symbol.dispose]: leave }
  }

  /** The error; where the queue is full, with the time after which there is likely room. */
  #withRetryAfter(error: unknown, name: string): unknown {
    if (!(error instanceof QueueFullError)) return error
    const stats = this.#parts.store.loaded.get(name)?.stats()
    const { statusCode, message, code } = toApiError(error)
    const retryAfterSeconds = stats === undefined ? 1 : secondsToRoom(stats, this.#meanSeconds)
    return new ApiError(statusCode, message, { code, retryAfterSeconds })
  }
}

function leaving(): ApiError {
  const message = 'the worker is leaving the fleet'
  return new ApiError(503, message, { code: LEAVING, retryAfterSeconds: 1 })
}

import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { unavailable } from '../../errors.js'
import { makeMemberId } from '../member-id.js'
import { encode, readLeaseAnswer, readTell, type TellMessage } from '../messages.js'
import { type AnnouncedModel, LIFE_MILLIS } from '../registry/announcement.js'
import { Directory, type KnownWorker, type Leaving } from '../registry/directory.js'
import type { WorkerLoad } from '../routing/load.js'
import { Router } from '../routing/router.js'
import { lastWord, type Subjects, wordBeforeLast } from '../subjects.js'
import type { Message, Transport } from '../transport/transport.js'

export interface GatewayParts {
  readonly transport: Transport
  readonly subjects: Subjects
}

/** How often leases are renewed, and workers looked after. */
export const TICK_MILLIS = 500

/** A worker that answers no more leases in a row, though it announces itself, does not do its work either. */
const MAX_UNANSWERED = Math.ceil(LIFE_MILLIS / TICK_MILLIS)

/** How long what was begun waits for a worker, or for the connection. */
export const PATIENCE_TICKS = 60

/** Whoever waits for an attempt. */
export interface AttemptListener {
  onTell(message: TellMessage): void
  /** Nobody was there to take it. */
  onNobody(): void
  /** Nothing more comes of it, for the worker, or a message, is lost. */
  onLost(): void
}

/** A try of a request, at one worker. */
export interface SentAttempt {
  readonly id: string
  readonly worker: string
  readonly listener: AttemptListener
  /** Of the next message. */
  sequence: number
}

export interface GatewayEvents {
  joined: [worker: KnownWorker]
  announced: [worker: KnownWorker]
  left: [worker: KnownWorker, why: Leaving]
  /** Who waits for a worker may try again. */
  tick: []
}

/** Knows the workers of a fleet, sends them work, and renews its lease of it. */
export class Gateway {
  readonly id = makeMemberId()
  readonly events = new EventEmitter<GatewayEvents>()
  readonly #transport: Transport
  readonly #subjects: Subjects
  readonly #directory: Directory
  /** By model. */
  readonly #routers = new Map<string, Router>()
  readonly #attempts = new Map<string, SentAttempt>()
  /** By worker: leases since it has answered one. */
  #unanswered = new Map<string, number>()
  readonly #stops: (() => void)[]
  /** Since the connection was lost. */
  #lostTicks = 0

  constructor({ transport, subjects }: GatewayParts) {
    this.#transport = transport
    this.#subjects = subjects
    this.events.setMaxListeners(0)
    this.#directory = new Directory(transport.bucket(subjects.workers, LIFE_MILLIS), TICK_MILLIS)
    const { events } = this.#directory
    events.on('joined', (worker) => this.events.emit('joined', worker))
    events.on('announced', (worker) => this.#onAnnounced(worker))
    events.on('left', (worker, why) => this.#onLeft(worker, why))
    const subscription = transport.subscribe(subjects.toGateway(this.id, '*', '*'), {
      onMessage: (message) => this.#onMessage(message),
      onNobody: (subject) => this.#onNobody(subject),
    })
    const onRestored = () => this.#tick()
    transport.events.on('restored', onRestored)
    const ticking = setInterval(() => this.#tick(), TICK_MILLIS)
    this.#stops = [
      () => clearInterval(ticking),
      () => transport.events.off('restored', onRestored),
      () => subscription.end(),
      () => this.#directory.close(),
    ]
  }

  get workers(): ReadonlyMap<string, KnownWorker> {
    return this.#directory.workers
  }

  /** Attempts that it waits for. */
  get attempts(): Iterable<SentAttempt> {
    return this.#attempts.values()
  }

  get isConnected(): boolean {
    return this.#transport.isConnected
  }

  /** @throws ApiError while it cannot reach the fleet */
  checkConnected(): void {
    if (!this.isConnected) throw unavailable('the connection to the fleet is lost')
  }

  /** Chooses among workers of a model. */
  routerOf(model: string): Router {
    const router = this.#routers.get(model) ?? new Router()
    this.#routers.set(model, router)
    return router
  }

  /** Sends work to a worker. @param message all but what names the attempt */
  send(
    worker: string,
    ask: 'generate' | 'embed',
    message: object,
    listener: AttemptListener,
  ): SentAttempt {
    const attempt = { id: randomUUID(), worker, listener, sequence: 0 }
    this.#attempts.set(attempt.id, attempt)
    const payload = encode({ ...message, attempt: attempt.id, gateway: this.id })
    const reply = this.#subjects.toGateway(this.id, 'work', attempt.id)
    this.#transport.publish(this.#subjects.toWorker(worker, ask), payload, reply)
    return attempt
  }

  /** Waits for an attempt no more: it has ended. */
  forget({ id }: SentAttempt): void {
    this.#attempts.delete(id)
  }

  /** Has the worker end an attempt. */
  cancel(attempt: SentAttempt): void {
    this.forget(attempt)
    const payload = encode({ attempt: attempt.id })
    this.#transport.publish(this.#subjects.toWorker(attempt.worker, 'cancel'), payload)
  }

  /** Tells the worker whether the reader of an attempt has room. */
  flow({ id, worker }: SentAttempt, isPaused: boolean): void {
    const payload = encode({ attempt: id, isPaused })
    this.#transport.publish(this.#subjects.toWorker(worker, 'flow'), payload)
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }

  #onMessage({ subject, payload }: Message): void {
    const about = lastWord(subject)
    if (wordBeforeLast(subject) === 'lease') this.#onLeaseAnswer(about, payload)
    else this.#onTell(about, payload)
  }

  #onTell(id: string, payload: Uint8Array): void {
    const attempt = this.#attempts.get(id)
    if (attempt === undefined) return
    this.#directory.heard(attempt.worker)
    const message = readTell(payload)
    if (message?.sequence === attempt.sequence++) attempt.listener.onTell(message)
    // one before it is lost, or it is broken
    else this.#lose(attempt)
  }

  /** What the worker does not know, it has lost: all that it told is here by now. */
  #onLeaseAnswer(worker: string, payload: Uint8Array): void {
    this.#directory.heard(worker)
    this.#unanswered.delete(worker)
    for (const id of readLeaseAnswer(payload)?.unknown ?? []) {
      const attempt = this.#attempts.get(id)
      if (attempt !== undefined) this.#lose(attempt)
    }
  }

  #onNobody(subject: string): void {
    const about = lastWord(subject)
    const attempt = this.#attempts.get(about)
    if (wordBeforeLast(subject) === 'lease') this.#onGone(about, 'gone')
    else if (attempt !== undefined) {
      this.forget(attempt)
      this.#onGone(attempt.worker, 'gone')
      attempt.listener.onNobody()
    }
  }

  #onGone(worker: string, why: Leaving): void {
    this.#directory.remove(worker, why)
    // it may have been removed before
    this.#loseAll(worker)
  }

  #onAnnounced(worker: KnownWorker): void {
    const now = performance.now()
    for (const model of worker.announcement.models) {
      this.routerOf(model.name).announced(toLoad(worker.id, model), model.prefixes, now)
    }
    this.events.emit('announced', worker)
  }

  #onLeft(worker: KnownWorker, why: Leaving): void {
    for (const router of this.#routers.values()) router.left(worker.id)
    this.events.emit('left', worker, why)
    this.#loseAll(worker.id)
  }

  #loseAll(worker: string): void {
    for (const attempt of this.#attempts.values())
      if (attempt.worker === worker) this.#lose(attempt)
  }

  #lose(attempt: SentAttempt): void {
    // a worker that was thought dead may live
    this.cancel(attempt)
    attempt.listener.onLost()
  }

  #tick(): void {
    if (this.isConnected) {
      this.#lostTicks = 0
      this.#directory.tick()
      this.#renew()
    } else if (++this.#lostTicks === PATIENCE_TICKS) {
      for (const attempt of this.#attempts.values()) this.#lose(attempt)
    }
    this.events.emit('tick')
  }

  /** Tells each worker which attempts this gateway waits for. */
  #renew(): void {
    const attempts = new Map<string, string[]>()
    for (const { id, worker } of this.#attempts.values()) {
      const others = attempts.get(worker)
      if (others === undefined) attempts.set(worker, [id])
      else others.push(id)
    }
    const unanswered = this.#unanswered
    this.#unanswered = new Map()
    for (const [worker, ids] of attempts) {
      const count = (unanswered.get(worker) ?? 0) + 1
      if (count > MAX_UNANSWERED) {
        // until it announces itself again, others have its work
        this.#onGone(worker, 'silent')
        continue
      }
      this.#unanswered.set(worker, count)
      const payload = encode({ gateway: this.id, attempts: ids })
      const reply = this.#subjects.toGateway(this.id, 'lease', worker)
      this.#transport.publish(this.#subjects.toWorker(worker, 'lease'), payload, reply)
    }
  }
}

function toLoad(id: string, model: AnnouncedModel): WorkerLoad {
  const { running, waiting, waitingTokens, maxWaiting, prefillRate, decodeRate } = model
  const { maxWaitingTokens = Number.POSITIVE_INFINITY } = model
  const load = { running, waiting, waitingTokens, maxWaiting, maxWaitingTokens }
  return { id, ...load, prefillRate, decodeRate }
}

import { ApiError, unavailable } from '../../errors.js'
import type { Origin } from '../../models/served-model.js'
import type { TellMessage } from '../messages.js'
import type { AnnouncedModel } from '../registry/announcement.js'
import type { KnownWorker } from '../registry/directory.js'
import type { RoutedRequest } from '../routing/load.js'
import { fromWireError, isRefusal, LEAVING } from '../wire-error.js'
import { type Gateway, PATIENCE_TICKS, type SentAttempt } from './gateway.js'
import type { AttemptEnd, GatewayMetrics } from './metrics.js'

/** What workers must have to do work: a model of this name that takes the same tokens, and as many. */
export interface Variant {
  readonly name: string
  /** The digest of what its checkpoint says about text. */
  readonly texts: string
  readonly maxContext: number
}

/** What all work of a gateway has in common. */
export interface WorkParts {
  readonly gateway: Gateway
  readonly metrics: GatewayMetrics
  readonly variant: Variant
  readonly origin: Origin
}

/** A request that loses more workers fails, or that more of them fail at: it may be what kills them. */
const MAX_LOSSES = 5

/**
 * Work that one worker after another is given until one has done it: where one is full, is lost, or leaves. Weights of the
 * same fingerprint give the same bits, so what was told of it stays true.
 */
export abstract class RemoteWork {
  readonly #parts: WorkParts
  readonly #request: RoutedRequest
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => this.abort(this.#signal?.reason)
  readonly #onTick = () => {
    this.#ticksWaited++
    // those that were full may have room now
    this.#refusals.clear()
    this.#place()
  }
  readonly #onJoined = () => this.#place()
  /** What workers have refused it for, since it was last lost or waited. */
  readonly #refusals = new Map<string, ApiError>()
  #attempt: SentAttempt | undefined
  /** Of the model that has told something: no other can go on. */
  #fingerprint: string | undefined
  /** Of the model that tells. */
  #told: string | undefined
  /** Workers that were lost under it, and that could not do it though they were there. */
  #losses = 0
  #failures = 0
  /** Since a worker has told something. */
  #ticksWaited = 0
  #isWaiting = false
  #hasEnded = false
  #hasBegun = false

  protected constructor(parts: WorkParts, request: RoutedRequest, signal: AbortSignal | undefined) {
    this.#parts = parts
    this.#request = request
    this.#signal = signal
  }

  protected abstract readonly ask: 'generate' | 'embed'
  /** What the worker is to do, from where it was left. */
  protected abstract get message(): object
  /** Whether work that it is a part of has begun: it is not refused any more then. */
  protected abstract readonly othersHaveBegun: boolean
  /** Takes what a worker has told. Returns whether that is the end. */
  protected abstract take(message: TellMessage): boolean
  /** It has come to nothing. */
  protected abstract fail(error: unknown): void
  /** Nobody wants it any more. */
  protected abstract abort(reason: unknown): void

  protected get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Gives it to a worker. */
  protected begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    this.#signal?.addEventListener('abort', this.#onAbort)
    if (this.#signal?.aborted) this.#onAbort()
    else this.#place()
  }

  /** It ends: nothing more is told of it. */
  protected end(): void {
    this.#hasBegun = true
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#stopWaiting()
    this.#leave('cancelled')
  }

  /** Tells the worker whether the reader has room. */
  protected flow(isPaused: boolean): void {
    if (this.#attempt !== undefined) this.#parts.gateway.flow(this.#attempt, isPaused)
  }

  /** Whether it waits for a worker to tell more. */
  protected get isRunning(): boolean {
    return this.#attempt !== undefined
  }

  /** Sends it to a worker, waits for one, or fails. */
  #place(): void {
    const problem = this.#send()
    if (problem !== undefined) this.#waitOr(problem)
  }

  /** Sends it to a worker. Returns why not, if there is none. */
  #send(): ApiError | undefined {
    const { gateway, metrics, variant, origin } = this.#parts
    const { name: model } = variant
    if (!gateway.isConnected) return disconnected()
    const able = [...gateway.workers.values()].filter((worker) => this.#isAble(worker))
    const ids = new Set(able.map(({ id }) => id).filter((id) => !this.#refusals.has(id)))
    if (ids.size === 0) return this.#whyNobody(able.length > 0)
    const router = gateway.routerOf(model)
    const now = performance.now()
    const choice = router.choose(this.#request, now, (worker) => ids.has(worker))
    if (choice === undefined) return fullError(model, able)
    this.#stopWaiting()
    router.sent(this.#request, choice, now)
    metrics.sent(model, this.#request.promptTokens, choice)
    const message = {
      ...this.message,
      ...{ request: origin.id, trace: origin.trace, model },
      ...(this.#fingerprint !== undefined && { fingerprint: this.#fingerprint }),
    }
    this.#attempt = gateway.send(choice.worker, this.ask, message, {
      onTell: (told) => this.#onTell(told),
      onNobody: () => this.#onNobody(),
      onLost: () => this.#onLost(),
    })
    return undefined
  }

  #isAble(worker: KnownWorker): boolean {
    const { name, texts, maxContext } = this.#parts.variant
    const model = worker.model(name)
    if (model === undefined || worker.announcement.isDraining) return false
    const isAlike = model.texts === texts && model.maxContext === maxContext
    return isAlike && (this.#fingerprint ?? model.fingerprint) === model.fingerprint
  }

  #onTell(message: TellMessage): void {
    const { error, fingerprint, chunks } = message
    if (fingerprint !== undefined) this.#told = fingerprint
    if (error !== undefined) {
      if (isRefusal(error)) this.#onRefused(fromWireError(error) as ApiError)
      else this.#give(fromWireError(error))
      return
    }
    if (chunks !== undefined) {
      this.#fingerprint ??= this.#told
      this.#ticksWaited = 0
    }
    if (!this.take(message)) return
    this.#leave('completed')
    this.end()
  }

  /** The worker is full, leaves, or has failed: another may do it. */
  #onRefused(error: ApiError): void {
    if (this.#attempt !== undefined) this.#refusals.set(this.#attempt.worker, error)
    this.#leave('refused')
    const hasFailed = error.statusCode !== 429 && error.code !== LEAVING
    if (hasFailed && ++this.#failures > MAX_LOSSES) this.#give(error)
    else this.#placeAgain()
  }

  /** The worker never had it. */
  #onNobody(): void {
    this.#leave('refused')
    this.#placeAgain()
  }

  #onLost(): void {
    this.#leave('lost')
    this.#refusals.clear()
    this.#losses++
    const problem = this.#whyNoMore()
    if (problem === undefined) this.#placeAgain()
    else this.#give(problem)
  }

  #placeAgain(): void {
    const { metrics, variant } = this.#parts
    metrics.retried(variant.name, this.#fingerprint !== undefined)
    this.#place()
  }

  /** Why it is not tried again, after a loss. */
  #whyNoMore(): ApiError | undefined {
    // it has waited for long enough
    if (!this.#parts.gateway.isConnected) return disconnected()
    if (this.#losses <= MAX_LOSSES) return undefined
    const message = `the request has lost ${this.#losses} workers, one after the other; try again`
    return new ApiError(503, message, { code: 'workers_lost', retryAfterSeconds: 5 })
  }

  /** The attempt is over. */
  #leave(outcome: AttemptEnd): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    this.#attempt = undefined
    const { gateway, metrics, variant } = this.#parts
    if (outcome === 'cancelled') gateway.cancel(attempt)
    else gateway.forget(attempt)
    gateway.routerOf(variant.name).ended(this.#request, attempt.worker)
    metrics.ended(variant.name, attempt.worker, outcome)
  }

  /** What was begun waits for a worker for a while; what was not fails at once. */
  #waitOr(error: ApiError): void {
    const hasBegun = this.#losses > 0 || this.#fingerprint !== undefined || this.othersHaveBegun
    if (!hasBegun || this.#ticksWaited >= PATIENCE_TICKS) this.#give(error)
    else if (!this.#isWaiting) {
      this.#isWaiting = true
      this.#parts.gateway.events.on('tick', this.#onTick).on('joined', this.#onJoined)
    }
  }

  #stopWaiting(): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.#parts.gateway.events.off('tick', this.#onTick).off('joined', this.#onJoined)
  }

  #give(error: Error): void {
    this.#leave('failed')
    this.fail(error)
    this.end()
  }

  /** Why no worker may do it. @param isAny some could, but have refused */
  #whyNobody(isAny: boolean): ApiError {
    const refusals = [...this.#refusals.values()]
    const full = refusals.filter(({ statusCode }) => statusCode === 429)
    const soonest = full.sort((a, b) => (a.retryAfterSeconds ?? 0) - (b.retryAfterSeconds ?? 0))
    if (isAny && refusals.length > 0) return soonest[0] ?? refusals[0]
    return unavailable(`no worker of the fleet serves the model ${this.#parts.variant.name} now`)
  }
}

function disconnected(): ApiError {
  return unavailable('the connection to the fleet is lost')
}

/** All workers have said that they are full. */
function fullError(name: string, workers: readonly KnownWorker[]): ApiError {
  const seconds = workers.map((worker) => {
    const { waitingTokens, prefillRate } = worker.model(name) as AnnouncedModel
    return waitingTokens / prefillRate
  })
  const message = `all workers of the model ${name} are full; try again later`
  const retryAfterSeconds = Math.min(Math.max(Math.ceil(Math.min(...seconds)), 1), 60)
  return new ApiError(429, message, { code: 'rate_limit_exceeded', retryAfterSeconds })
}

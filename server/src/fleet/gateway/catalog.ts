import type { Texts } from 'dotpool'
import type { FastifyBaseLogger } from 'fastify'
import type { Registry } from 'prom-client'
import { ApiError, unavailable } from '../../errors.js'
import type { ModelCatalog, ServedLease } from '../../models/catalog.js'
import type { CatalogModel } from '../../models/local-models.js'
import type { ModelStore } from '../../models/store.js'
import { unlessAborted } from '../../within.js'
import type { AnnouncedModel } from '../registry/announcement.js'
import type { KnownWorker, Leaving } from '../registry/directory.js'
import type { Blobs } from '../transport/transport.js'
import type { Gateway } from './gateway.js'
import { GatewayMetrics } from './metrics.js'
import { RemoteModel } from './remote-model.js'
import type { Variant } from './remote-work.js'
import { TextCache } from './text-cache.js'

/** The models that the workers of a fleet announce. */
export class FleetCatalog implements ModelCatalog {
  readonly local: ModelStore
  readonly ready: Promise<void>
  readonly #gateway: Gateway
  readonly #metrics: GatewayMetrics
  readonly #texts: TextCache
  /** As they were last announced, also where nobody serves them now. */
  readonly #known = new Map<string, AnnouncedModel>()
  readonly #models = new Map<string, RemoteModel>()

  /**
   * @param local models of this process, where it is a worker, too
   * @param ready resolves once it is known what there is
   */
  constructor(gateway: Gateway, blobs: Blobs, local: ModelStore, ready: Promise<void>) {
    this.#gateway = gateway
    this.#metrics = new GatewayMetrics(gateway)
    this.#texts = new TextCache(blobs)
    this.local = local
    this.ready = ready
    gateway.events.on('announced', ({ announcement }) => {
      for (const model of announcement.models) this.#known.set(model.name, model)
    })
    gateway.events.on('left', () => this.#tidy())
  }

  get names(): string[] {
    return [...this.#known.keys()]
  }

  checkReady(): void {
    this.#gateway.checkConnected()
  }

  info(wanted: string | undefined): CatalogModel {
    const [first] = this.#known.keys()
    const known = this.#known.get(wanted ?? first)
    if (known !== undefined) {
      const { name, maxContext } = known
      const isLoaded = this.#workersOf(name).some((model) => model.isLoaded)
      return { name, maxContext, status: isLoaded ? 'loaded' : 'unloaded' }
    }
    if (this.#known.size === 0) throw unavailable('no worker has joined the fleet yet')
    throw noModel(wanted)
  }

  async acquire(name: string, signal: AbortSignal): Promise<ServedLease> {
    signal.throwIfAborted()
    this.#gateway.checkConnected()
    this.info(name)
    const workers = this.#workersOf(name)
    if (workers.length === 0) {
      throw unavailable(`no worker of the fleet serves the model ${name} now`)
    }
    // while another version of a model is rolled out, each gets its workers' part of the requests
    const { texts, maxContext } = workers[Math.floor(Math.random() * workers.length)]
    const model = await unlessAborted(signal, this.#modelOf({ name, texts, maxContext }))
    return { model, [Symbol.dispose]: () => {} }
  }

  async load(): Promise<void> {
    throw refusal()
  }

  unload(): void {
    throw refusal()
  }

  log(log: FastifyBaseLogger): () => void {
    const { events } = this.#gateway
    const onJoined = ({ id, announcement }: KnownWorker) => {
      const models = announcement.models.map(({ name }) => name)
      log.info({ worker: id, host: announcement.host, models }, 'a worker has joined the fleet')
    }
    const onLeft = ({ id, announcement }: KnownWorker, why: Leaving) => {
      const line = { worker: id, host: announcement.host, why }
      if (why === 'left') log.info(line, 'a worker has left the fleet')
      else log.warn(line, 'a worker is lost')
    }
    events.on('joined', onJoined).on('left', onLeft)
    return () => {
      events.off('joined', onJoined).off('left', onLeft)
    }
  }

  addMetrics(registry: Registry): void {
    this.#metrics.addTo(registry)
  }

  close(): void {
    this.#texts.close()
  }

  /** What workers that take requests announce of a model. */
  #workersOf(name: string): AnnouncedModel[] {
    return [...this.#gateway.workers.values()].flatMap((worker) => {
      const model = worker.announcement.isDraining ? undefined : worker.model(name)
      return model === undefined ? [] : [model]
    })
  }

  /** The same object for the same variant, for what is found out about its template is kept by that. */
  async #modelOf(variant: Variant): Promise<RemoteModel> {
    const key = JSON.stringify([variant.name, variant.texts, variant.maxContext])
    const texts = await this.#textsOf(variant)
    const known = this.#models.get(key)
    if (known !== undefined && known.texts === texts) return known
    const parts = { gateway: this.#gateway, metrics: this.#metrics, variant }
    const model = new RemoteModel(parts, texts)
    this.#models.set(key, model)
    return model
  }

  async #textsOf({ name, texts }: Variant): Promise<Texts> {
    try {
      return await this.#texts.get(texts)
    } catch (cause) {
      const message = `the tokenizer of the model ${name} could not be had from the fleet`
      throw new ApiError(503, message, { code: 'unavailable', retryAfterSeconds: 1, cause })
    }
  }

  /** Forgets texts that nobody announces any more. */
  #tidy(): void {
    const announced = [...this.#gateway.workers.values()].flatMap(({ announcement }) =>
      announcement.models.map(({ texts }) => texts),
    )
    const closed = this.#texts.keep(new Set(announced))
    for (const [key, { variant }] of this.#models) {
      if (closed.includes(variant.texts)) this.#models.delete(key)
    }
  }
}

function noModel(name: string | undefined): ApiError {
  const message = `the model ${JSON.stringify(name)} does not exist; GET /v1/models lists those that do`
  return new ApiError(404, message, { param: 'model', code: 'model_not_found' })
}

function refusal(): ApiError {
  const message =
    'a gateway holds no models: each worker of its fleet loads those that it was started with'
  return new ApiError(400, message, { code: 'unsupported_operation' })
}

import { EventEmitter } from 'node:events'
import { ArgumentError, type Model } from 'dotpool'
import type { FastifyBaseLogger } from 'fastify'
import { ApiError, unavailable } from '../errors.js'
import { unlessAborted } from '../within.js'
import type { ModelCatalog } from './catalog.js'
import type { LocalModels, ModelStoreEvents, StoredModel } from './local-models.js'
import { logModels } from './log.js'

/** A model that is loaded when it is asked for. */
export interface ModelLoader {
  /** The memory that it takes, bytes: `parameterBytes` and `kvBytes` of `Model.inspect`. */
  readonly bytes: number
  /** The most tokens of prompt and answer together. */
  readonly maxContext: number
  /** Called again after the model was unloaded, which disposes of it. */
  load(): Promise<Model>
}

/** Models by the names that requests know them by. One that is given loaded stays so. */
export type Models = ReadonlyMap<string, Model | ModelLoader>

export interface ModelStoreOptions {
  /** The most memory of models that it loads, bytes. They are never unloaded where there is no bound, the default. */
  memoryBytes?: number | undefined
  /** Requests that may wait for one model to be loaded. 128 by default. */
  maxWaiting?: number | undefined
}

/** A model in use: it stays loaded until this is disposed of. */
export interface Lease extends Disposable {
  readonly model: Model
}

interface Entry {
  readonly name: string
  readonly maxContext: number
  /** Undefined where the model was given loaded. */
  readonly loader: ModelLoader | undefined
  model: Model | undefined
  loading: Promise<Model> | undefined
  /** Requests that use it, or wait for it. */
  users: number
  lastUse: number
}

/**
 * Models that share memory. Those that fit are loaded at first, the others when a request asks for them: then those are
 * unloaded that were not used for longest, but never one that a request uses.
 */
export class ModelStore implements ModelCatalog, LocalModels {
  readonly events = new EventEmitter<ModelStoreEvents>()
  /**
   * Resolves once the models are known, and those that fit are loaded.
   *
   * @throws ArgumentError if one alone takes more than all may; why one could not be loaded
   */
  readonly ready: Promise<void>
  readonly #memoryBytes: number
  /** Requests that may wait for one model to be loaded. */
  readonly maxWaiting: number
  #entries: ReadonlyMap<string, Entry> = new Map()
  #isReady = false
  #uses = 0

  constructor(
    models: Models | Promise<Models> | Readonly<Record<string, Model | ModelLoader>>,
    { memoryBytes = Number.MAX_SAFE_INTEGER, maxWaiting = 128 }: ModelStoreOptions = {},
  ) {
    for (const [name, value] of Object.entries({ memoryBytes, maxWaiting })) {
      if (Number.isSafeInteger(value) && value >= 0) continue
      throw new ArgumentError(name, 'an integer, at least 0', String(value))
    }
    this.#memoryBytes = memoryBytes
    this.maxWaiting = maxWaiting
    if (models instanceof Promise) this.ready = models.then((given) => this.#begin(given))
    else this.ready = this.#begin(models instanceof Map ? models : new Map(Object.entries(models)))
    // whoever waits for it is told
    this.ready.catch(() => {})
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** It has them all itself. */
  get local(): ModelStore {
    return this
  }

  checkReady(): void {
    if (!this.#isReady) throw unavailable('the model is being loaded')
  }

  get names(): string[] {
    return [...this.#entries.keys()]
  }

  /** Those that are loaded. */
  get loaded(): ReadonlyMap<string, Model> {
    const loaded = new Map<string, Model>()
    for (const { name, model } of this.#entries.values()) {
      if (model !== undefined) loaded.set(name, model)
    }
    return loaded
  }

  info(wanted: string | undefined): StoredModel {
    const { name, maxContext, model, loading, users } = this.#find(wanted ?? this.names[0])
    if (model !== undefined) return { name, maxContext, status: 'loaded', waiting: 0 }
    return { name, maxContext, status: loading ? 'loading' : 'unloaded', waiting: users }
  }

  /**
   * Uses a model; loads it first if it is not, once for all that ask for it meanwhile.
   *
   * @throws ApiError if there is no such model, it cannot be loaded, the others that are loaded are all in use, or too
   *   many wait for it; the signal's reason
   */
  async acquire(name: string, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted()
    const entry = this.#find(name)
    if (entry.model === undefined && entry.users >= this.maxWaiting) {
      throw new ApiError(429, `too many requests wait for the model ${name} to be loaded`, {
        code: 'rate_limit_exceeded',
        retryAfterSeconds: 5,
      })
    }
    entry.users++
    let isHeld = true
    const release = () => {
      if (isHeld) entry.users--
      isHeld = false
    }
    try {
      const model = entry.model ?? (await unlessAborted(signal, this.#loadForRequest(entry)))
      entry.lastUse = ++this.#uses
      return { model, [Symbol.dispose]: release }
    } catch (error) {
      release()
      throw error
    }
  }

  async load(name: string, signal: AbortSignal): Promise<void> {
    using _lease = await this.acquire(name, signal)
  }

  /**
   * Unloads a model, if it is loaded.
   *
   * @throws ApiError if there is no such model, a request uses it, or it was given loaded
   */
  unload(name: string): void {
    const entry = this.#find(name)
    const { loader, loading, model, users } = entry
    const code = 'model_in_use'
    if (loader === undefined)
      throw new ApiError(409, `the model ${name} is always loaded`, { code })
    if (users > 0 || loading !== undefined) {
      throw new ApiError(409, `the model ${name} is in use; try again once it is idle`, { code })
    }
    if (model !== undefined) this.#unload(entry, model)
  }

  log(log: FastifyBaseLogger): () => void {
    return logModels(this, log)
  }

  /** Those of models that run here are the server's. */
  addMetrics(): void {}

  async #begin(models: Models): Promise<void> {
    const entries = new Map<string, Entry>()
    for (const [name, given] of models) {
      const state = { loading: undefined, users: 0, lastUse: 0 }
      const { maxContext } = given
      entries.set(
        name,
        isLoader(given)
          ? { name, maxContext, loader: given, model: undefined, ...state }
          : { name, maxContext, loader: undefined, model: given, ...state },
      )
    }
    for (const { name, loader } of entries.values()) {
      if (loader === undefined || loader.bytes <= this.#memoryBytes) continue
      const expected = `at least ${loader.bytes} bytes, which ${name} takes`
      throw new ArgumentError('memoryBytes', expected, `${this.#memoryBytes}`)
    }
    this.#entries = entries
    for (const entry of entries.values()) {
      if (entry.model === undefined && bytesOf(entry) <= this.#freeBytes) await this.#load(entry)
    }
    this.#isReady = true
  }

  /** What models that are loaded, or being loaded, have left. */
  get #freeBytes(): number {
    let free = this.#memoryBytes
    for (const entry of this.#entries.values()) {
      if (entry.model !== undefined || entry.loading !== undefined) free -= bytesOf(entry)
    }
    return free
  }

  #find(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry !== undefined) return entry
    const message = `the model ${JSON.stringify(name)} does not exist; GET /v1/models lists those that do`
    throw new ApiError(404, message, { param: 'model', code: 'model_not_found' })
  }

  async #loadForRequest(entry: Entry): Promise<Model> {
    if (entry.loading === undefined) this.#makeRoom(entry)
    try {
      return await this.#load(entry)
    } catch (cause) {
      // its reason may tell of the server's files
      const message = `the model ${entry.name} could not be loaded; the server's log says why`
      throw new ApiError(503, message, { code: 'model_load_failed', retryAfterSeconds: 5, cause })
    }
  }

  #load(entry: Entry): Promise<Model> {
    entry.loading ??= this.#loadNow(entry).finally(() => {
      entry.loading = undefined
    })
    return entry.loading
  }

  async #loadNow(entry: Entry): Promise<Model> {
    const { name, loader } = entry
    const start = performance.now()
    try {
      const model = await (loader as ModelLoader).load()
      entry.model = model
      this.events.emit('loaded', { name, model, millis: performance.now() - start })
      return model
    } catch (error) {
      this.events.emit('failed', { name, error })
      throw error
    }
  }

  /**
   * Unloads what was not used for longest, until a model fits.
   *
   * @throws ApiError if even then it would not
   */
  #makeRoom(wanted: Entry): void {
    let free = this.#freeBytes
    const unused = [...this.#entries.values()]
      .filter(({ model, loader, users }) => model && loader && users === 0)
      .sort((a, b) => a.lastUse - b.lastUse)
    const unneeded: Entry[] = []
    for (const entry of unused) {
      if (bytesOf(wanted) <= free) break
      free += bytesOf(entry)
      unneeded.push(entry)
    }
    if (bytesOf(wanted) > free) {
      throw unavailable(`there is no memory for the model ${wanted.name} while others are in use`)
    }
    for (const entry of unneeded) this.#unload(entry, entry.model as Model)
  }

  #unload(entry: Entry, model: Model): void {
    entry.model = undefined
    this.events.emit('unloaded', { name: entry.name, model })
    model.dispose()
  }
}

function isLoader(given: Model | ModelLoader): given is ModelLoader {
  return 'load' in given
}

/** Of a model that it may load. */
function bytesOf({ loader }: Entry): number {
  return loader?.bytes ?? 0
}

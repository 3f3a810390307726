import type { FastifyBaseLogger } from 'fastify'
import type { Registry } from 'prom-client'
import type { CatalogModel, LocalModels } from './local-models.js'
import type { ServedModel } from './served-model.js'

/** A model in use: it stays loaded until this is disposed of. */
export interface ServedLease extends Disposable {
  readonly model: ServedModel
}

/** The models that routes serve, by their names: a `ModelStore` has them in this process, a fleet elsewhere. */
export interface ModelCatalog {
  /** Those that run in this process. */
  readonly local: LocalModels
  /** Resolves once requests can be served. @throws why they never will be */
  readonly ready: Promise<void>
  readonly names: string[]
  /** @throws ApiError while requests cannot be served */
  checkReady(): void
  /** @param name the first where it is undefined; @throws ApiError if there is no such model */
  info(name: string | undefined): CatalogModel
  /**
   * Uses a model, which is loaded first if it is not.
   *
   * @throws ApiError if there is none, or it cannot be used now; the signal's reason
   */
  acquire(name: string, signal: AbortSignal): Promise<ServedLease>
  /** Loads a model, if it is not. @throws as {@link acquire}; ApiError where nobody may ask for that */
  load(name: string, signal: AbortSignal): Promise<void>
  /** Unloads a model, if it is loaded. @throws ApiError if it is in use, or nobody may ask for that */
  unload(name: string): void
  /** Logs what becomes of the models. Returns what ends it. */
  log(log: FastifyBaseLogger): () => void
  /** Adds metrics of its own. */
  addMetrics(registry: Registry): void
}

import type { EventEmitter } from 'node:events'
import type { Model } from 'dotpool'

export type ModelStatus = 'unloaded' | 'loading' | 'loaded'

/** What is known of a model, loaded or not. */
export interface CatalogModel {
  readonly name: string
  readonly status: ModelStatus
  /** The most tokens of prompt and answer together. */
  readonly maxContext: number
}

/** What is known of a model of this process. */
export interface StoredModel extends CatalogModel {
  /** Requests that wait until it is loaded. */
  readonly waiting: number
}

/** The channels of {@link LocalModels.events}. A model is disposed of after `unloaded`. */
export interface ModelStoreEvents {
  loaded: [{ name: string; model: Model; millis: number }]
  unloaded: [{ name: string; model: Model }]
  failed: [{ name: string; error: unknown }]
  /** A line of a batch has its result. */
  line: [{ name: string; isSuccess: boolean }]
}

/** Models of this process, as metrics and the log look at them. */
export interface LocalModels {
  readonly events: EventEmitter<ModelStoreEvents>
  readonly names: string[]
  /** Those that are loaded. */
  readonly loaded: ReadonlyMap<string, Model>
  info(name: string): StoredModel
}

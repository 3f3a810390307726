export { FolderStore } from './batches/folder/folder-store.js'
export { type RunBatchOptions, runBatch } from './batches/run-batch.js'
export type { BatchStore } from './batches/store.js'
export type { FleetRole } from './fleet/member.js'
export type { FleetOptions } from './fleet/serve.js'
export type { NatsOptions, NatsTlsFiles } from './fleet/transport/nats/connect.js'
export type { ModelCatalog, ServedLease } from './models/catalog.js'
export type {
  CatalogModel,
  LocalModels,
  ModelStatus,
  ModelStoreEvents,
  StoredModel,
} from './models/local-models.js'
export type { Origin, ServedGeneration, ServedModel, ServedOptions } from './models/served-model.js'
export {
  type Lease,
  type ModelLoader,
  ModelStore,
  type ModelStoreOptions,
  type Models,
} from './models/store.js'
export { dotpoolRoutes } from './plugin.js'
export { type ServeOptions, serve } from './serve.js'
export { type AppOptions, createServer, type ServerOptions } from './server.js'
export type { RouteOptions } from './settings.js'
export type { TlsFiles } from './tls.js'

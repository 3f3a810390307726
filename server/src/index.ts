export { FolderStore } from './batches/folder/folder-store.js'
export type { BatchLine } from './batches/line.js'
export type { LineResult } from './batches/result.js'
export { type RunBatchOptions, runBatch } from './batches/run-batch.js'
export type {
  BatchStore,
  BatchTable,
  FileStore,
  Hold,
  LineOutcome,
  LineQueue,
  LineTask,
  ResultStore,
} from './batches/store.js'
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
export type { Batch, Endpoint } from './schemas/batches.js'
export type { StoredFile } from './schemas/files.js'
export { type ServeOptions, serve } from './serve.js'
export { type AppOptions, createServer, type ServerOptions } from './server.js'
export type { RouteOptions } from './settings.js'
export type { TlsFiles } from './tls.js'

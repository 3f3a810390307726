export { FolderStore } from './batches/folder/folder-store.js'
export { type RunBatchOptions, runBatch } from './batches/run-batch.js'
export type { BatchStore } from './batches/store.js'
export {
  type Lease,
  type ModelLoader,
  type ModelStatus,
  ModelStore,
  type ModelStoreEvents,
  type ModelStoreOptions,
  type Models,
  type StoredModel,
} from './models/store.js'
export { dotpoolRoutes } from './plugin.js'
export { type ServeOptions, serve } from './serve.js'
export { createServer, type ServerOptions } from './server.js'
export type { RouteOptions } from './settings.js'
export type { TlsFiles } from './tls.js'

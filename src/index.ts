export {
  bf16ToFloat,
  bf16ToFloat32,
  float32ToBf16,
  floatToBf16,
} from './bf16.js'
export {
  ArgumentError,
  DisposedError,
  DotpoolError,
  FormatError,
  PoolBrokenError,
  PoolClosedError,
  QueueFullError,
  WorkerDiedError,
} from './errors.js'
export { intMatmul } from './ops/int-matmul.js'
export { type ForwardOptions, Linear, type LinearOptions } from './ops/linear.js'
export { packSdot, unpackSdot } from './ops/pack.js'
export { quantizeRows, quantizeWeight } from './ops/quantize.js'
export { Pool, type PoolOptions } from './pool/pool.js'
export type { PoolStats, WorkerStats } from './pool/stats.js'
export { Tensor, type TensorType } from './tensor.js'

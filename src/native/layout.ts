/*
 * What C and TypeScript share, by C's names: see native/include/dotpool.h. Offsets and sizes count 32-bit words; an
 * address takes two. Written by npm run layouts.
 */

export const CACHE_LINE = 64

export const MAX_WORKERS = 256

export const RING = 32

export const SLOT_OPS = 16

export const MAX_K = 131072

export const MAX_OUTLIERS = 15

export const PAGE = 64

export const FROM_SAMPLE = 2147483648

export const PENALISED = 2147483648

export const BAD_ROW = 2147483648

export const PAGES_IN_TURN = 1

/** dp_type */
export const Type = {
  float32: 0,
  bfloat16: 1,
  int8: 2,
  int32: 3,
  int4: 4,
} as const

/** dp_op_kind */
export const OpKind = {
  empty: 0,
  gemv: 1,
  quantize: 2,
  gemm: 3,
  pack: 4,
  quantizePack: 5,
  packTransposed: 6,
  read: 7,
  peak: 8,
  meet: 9,
  float: 10,
  embed: 11,
  norm: 12,
  dense: 13,
  rotate: 14,
  attend: 15,
  merge: 16,
  sample: 17,
  gate: 18,
  clock: 19,
  packS4: 20,
  searchS4: 21,
} as const

/** dp_op_flags */
export const OpFlags = {
  together: 1,
  xRows: 2,
  yRows: 4,
  after: 8,
} as const

/** dp_activation */
export const Activation = {
  none: 0,
  silu: 1,
  gelu: 2,
  relu2: 3,
} as const

/** dp_sample_action */
export const SampleAction = {
  nothing: 0,
  token: 1,
  score: 2,
} as const

/** dp_sample_outcome */
export const SampleOutcome = {
  done: 1,
  notANumber: 2,
  masked: 3,
  outside: 4,
  late: 5,
} as const

/** dp_seat */
export const Seat = {
  empty: 0,
  taken: 1,
  parked: 2,
  dismissed: 3,
} as const

/** dp_leave */
export const Leave = {
  idle: 0,
  notice: 1,
  slice: 2,
  unseated: 3,
  stop: 4,
} as const

/** dp_row */
export const RowLayout = {
  words: 4,
  id: 0,
  position: 1,
  pages: 2,
} as const

/** dp_pages */
export const PagesLayout = {
  words: 2,
  count: 0,
} as const

/** dp_attention */
export const AttentionLayout = {
  words: 28,
  queryHeads: 0,
  kvHeads: 1,
  headDim: 2,
  window: 3,
  cacheType: 4,
  eps: 5,
  scale: 6,
  split: 7,
  q: 8,
  k: 10,
  v: 12,
  qNorm: 14,
  kNorm: 16,
  rotation: 18,
  pageOffset: 20,
  out: 22,
  parts: 24,
  partPages: 26,
  positions: 27,
} as const

/** dp_sample */
export const SampleLayout = {
  words: 24,
  action: 0,
  id: 1,
  logit: 2,
  maximum: 3,
  sum: 4,
  temperature: 5,
  topP: 6,
  minP: 7,
  penalty: 8,
  topK: 9,
  random: 10,
  adjustmentCount: 11,
  adjustments: 12,
  outcome: 14,
  candidateCount: 15,
  candidates: 16,
  copy: 18,
  mask: 20,
  maskTag: 22,
} as const

/** dp_adjustment */
export const AdjustmentLayout = {
  words: 2,
  id: 0,
  addend: 1,
} as const

/** dp_candidate */
export const CandidateLayout = {
  words: 2,
  id: 0,
  logit: 1,
} as const

/** dp_op */
export const OpLayout = {
  words: 32,
  kind: 0,
  flags: 1,
  m: 2,
  quantize: 4,
  linear: 4,
  pack: 4,
  search: 4,
  dense: 4,
  embed: 4,
  norm: 4,
  attention: 4,
  gate: 4,
  sample: 4,
  roofline: 4,
} as const

/** dp_progress */
export const ProgressLayout = {
  words: 544,
  done: 0,
  units: 16,
  span: 17,
  grain: 18,
  least: 19,
  cap: 20,
  macs: 21,
  together: 22,
  after: 23,
  pinned: 24,
  range: 26,
} as const

/** dp_slot */
export const SlotLayout = {
  words: 9232,
  epoch: 0,
  opCount: 1,
  silent: 2,
  opsDone: 3,
  completed: 4,
  aborted: 5,
  fault: 6,
  ops: 8,
  progress: 10,
  ownOps: 16,
  ownProgress: 528,
} as const

/** dp_stats */
export const StatsLayout = {
  words: 10,
  regions: 0,
  busyNs: 2,
  waitNs: 4,
  units: 6,
  weightBytes: 8,
} as const

/** dp_worker */
export const WorkerLayout = {
  words: 48,
  seat: 0,
  cursor: 16,
  op: 17,
  entered: 18,
  rowEpoch: 19,
  rowStage: 20,
  rowAddress: 22,
  rowOutliers: 24,
  rowScale: 25,
  idleSince: 26,
  index: 28,
  held: 29,
  scratch: 30,
  stats: 32,
} as const

/** dp_region */
export const RegionLayout = {
  words: 307872,
  epoch: 0,
  stop: 16,
  seats: 17,
  notice: 32,
  threads: 48,
  kernels: 50,
  pace: 64,
  workers: 112,
  ring: 12448,
} as const

/** dp_mapping */
export const MappingLayout = {
  words: 6,
  address: 0,
  bytes: 2,
  file: 4,
} as const

const float = new Float32Array(1)
const floatWord = new Uint32Array(float.buffer)

function writeFloat(words: Uint32Array, at: number, value: number): void {
  float[0] = value
  words[at] = floatWord[0]
}

function writeAddress(words: Uint32Array, at: number, address: number): void {
  // both conversions take the integer part modulo 2^32
  words[at] = address
  words[at + 1] = address / 2 ** 32
}

/** dp_attention */
export interface Attention {
  queryHeads: number
  kvHeads: number
  headDim: number
  window: number
  cacheType: number
  eps: number
  scale: number
  split: number
  q: number
  k: number
  v: number
  qNorm: number
  kNorm: number
  rotation: number
  pageOffset: number
  out: number
  parts: number
  partPages: number
  positions: number
}

export function writeAttention(words: Uint32Array, at: number, params: Attention): void {
  words[at] = params.queryHeads
  words[at + 1] = params.kvHeads
  words[at + 2] = params.headDim
  words[at + 3] = params.window
  words[at + 4] = params.cacheType
  writeFloat(words, at + 5, params.eps)
  writeFloat(words, at + 6, params.scale)
  words[at + 7] = params.split
  writeAddress(words, at + 8, params.q)
  writeAddress(words, at + 10, params.k)
  writeAddress(words, at + 12, params.v)
  writeAddress(words, at + 14, params.qNorm)
  writeAddress(words, at + 16, params.kNorm)
  writeAddress(words, at + 18, params.rotation)
  writeAddress(words, at + 20, params.pageOffset)
  writeAddress(words, at + 22, params.out)
  writeAddress(words, at + 24, params.parts)
  words[at + 26] = params.partPages
  words[at + 27] = params.positions
}

/** GEMV where it quantises for itself, QUANTIZE: xq[M, K], x_scale[M] = quantise(activation(x) * u) */
export interface QuantizeParams {
  x: number
  u: number
  xq: number
  xScale: number
  k: number
  xType: number
  activation: number
  outliers: number
}

export function writeQuantizeParams(words: Uint32Array, at: number, params: QuantizeParams): void {
  writeAddress(words, at, params.x)
  writeAddress(words, at + 2, params.u)
  writeAddress(words, at + 4, params.xq)
  writeAddress(words, at + 6, params.xScale)
  words[at + 8] = params.k
  words[at + 9] = params.xType
  words[at + 10] = params.activation
  words[at + 11] = params.outliers
}

/** GEMV, GEMM, FLOAT: y[M, N] = dequantise(input[M, K] . w[N, K]) + bias */
export interface LinearParams extends QuantizeParams {
  y: number
  tiles: number
  colSum: number
  scale: number
  bias: number
  n: number
  yType: number
  wType: number
}

export function writeLinearParams(words: Uint32Array, at: number, params: LinearParams): void {
  writeQuantizeParams(words, at, params)
  writeAddress(words, at + 12, params.y)
  writeAddress(words, at + 14, params.tiles)
  writeAddress(words, at + 16, params.colSum)
  writeAddress(words, at + 18, params.scale)
  writeAddress(words, at + 20, params.bias)
  words[at + 22] = params.n
  words[at + 23] = params.yType
  words[at + 24] = params.wType
}

/** PACK, PACK_TRANSPOSED, QUANTIZE_PACK, PACK_S4: tiles, col_sum (, scale) = pack(w[N, K]) */
export interface PackParams {
  w: number
  multipliers: number
  tiles: number
  colSum: number
  scale: number
  n: number
  k: number
  wType: number
}

export function writePackParams(words: Uint32Array, at: number, params: PackParams): void {
  writeAddress(words, at, params.w)
  writeAddress(words, at + 2, params.multipliers)
  writeAddress(words, at + 4, params.tiles)
  writeAddress(words, at + 6, params.colSum)
  writeAddress(words, at + 8, params.scale)
  words[at + 10] = params.n
  words[at + 11] = params.k
  words[at + 12] = params.wType
}

/** SEARCH_S4: (u - 8) * m * scale[N] ~ w[N, K], the errors' squares, weighted by input, searched to be small */
export interface SearchParams {
  w: number
  importance: number
  nibbles: number
  multipliers: number
  scale: number
  n: number
  k: number
  stride: number
  wType: number
}

export function writeSearchParams(words: Uint32Array, at: number, params: SearchParams): void {
  writeAddress(words, at, params.w)
  writeAddress(words, at + 2, params.importance)
  writeAddress(words, at + 4, params.nibbles)
  writeAddress(words, at + 6, params.multipliers)
  writeAddress(words, at + 8, params.scale)
  words[at + 10] = params.n
  words[at + 11] = params.k
  words[at + 12] = params.stride
  words[at + 13] = params.wType
}

/** DENSE: y[M, N] = x[M, K] . float(w[N, K]) + bias */
export interface DenseParams {
  x: number
  w: number
  bias: number
  y: number
  n: number
  k: number
  wType: number
}

export function writeDenseParams(words: Uint32Array, at: number, params: DenseParams): void {
  writeAddress(words, at, params.x)
  writeAddress(words, at + 2, params.w)
  writeAddress(words, at + 4, params.bias)
  writeAddress(words, at + 6, params.y)
  words[at + 8] = params.n
  words[at + 9] = params.k
  words[at + 10] = params.wType
}

/** EMBED: y[M, K] = float(w[id[M], K]), zeros where none was sampled */
export interface EmbedParams {
  rows: number
  samples: number
  w: number
  y: number
  sampleCount: number
  n: number
  k: number
  wType: number
}

export function writeEmbedParams(words: Uint32Array, at: number, params: EmbedParams): void {
  writeAddress(words, at, params.rows)
  writeAddress(words, at + 2, params.samples)
  writeAddress(words, at + 4, params.w)
  writeAddress(words, at + 6, params.y)
  words[at + 8] = params.sampleCount
  words[at + 9] = params.n
  words[at + 10] = params.k
  words[at + 11] = params.wType
}

/** NORM: x += u; y and (xq, x_scale) = x / rms(x) * scale */
export interface NormParams {
  x: number
  u: number
  rows: number
  scale: number
  y: number
  xq: number
  xScale: number
  n: number
  k: number
  outliers: number
  eps: number
}

export function writeNormParams(words: Uint32Array, at: number, params: NormParams): void {
  writeAddress(words, at, params.x)
  writeAddress(words, at + 2, params.u)
  writeAddress(words, at + 4, params.rows)
  writeAddress(words, at + 6, params.scale)
  writeAddress(words, at + 8, params.y)
  writeAddress(words, at + 10, params.xq)
  writeAddress(words, at + 12, params.xScale)
  words[at + 14] = params.n
  words[at + 15] = params.k
  words[at + 16] = params.outliers
  writeFloat(words, at + 17, params.eps)
}

/** ROTATE: q = rope(norm(q)) * scale; keys = rope(norm(k)), values = v, into pages. ATTEND, MERGE: see dp_attention */
export interface AttentionParams {
  rows: number
  layer: number
}

export function writeAttentionParams(
  words: Uint32Array,
  at: number,
  params: AttentionParams,
): void {
  writeAddress(words, at, params.rows)
  writeAddress(words, at + 2, params.layer)
}

/** GATE: y[M, K] = activation(x[M, K]) * u[M, K] */
export interface GateParams {
  x: number
  u: number
  y: number
  k: number
  type: number
  activation: number
}

export function writeGateParams(words: Uint32Array, at: number, params: GateParams): void {
  writeAddress(words, at, params.x)
  writeAddress(words, at + 2, params.u)
  writeAddress(words, at + 4, params.y)
  words[at + 6] = params.k
  words[at + 7] = params.type
  words[at + 8] = params.activation
}

/** SAMPLE: what the rows of logits ask for */
export interface SampleParams {
  logits: number
  samples: number
  n: number
}

export function writeSampleParams(words: Uint32Array, at: number, params: SampleParams): void {
  writeAddress(words, at, params.logits)
  writeAddress(words, at + 2, params.samples)
  words[at + 4] = params.n
}

/** READ: the sum of x, by `streams` streams, asking `ahead` bytes ahead. PEAK: multiplies. CLOCK: additions. */
export interface RooflineParams {
  x: number
  count: number
  pieces: number
  streams: number
  ahead: number
}

export function writeRooflineParams(words: Uint32Array, at: number, params: RooflineParams): void {
  writeAddress(words, at, params.x)
  writeAddress(words, at + 2, params.count)
  words[at + 4] = params.pieces
  words[at + 5] = params.streams
  words[at + 6] = params.ahead
}

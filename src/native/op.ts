import type { Activation, OpKind, Type } from './layout.js'

/*
 * What programs are made of: dp_op in C. Ops name the memory that they work on by views, which encode.ts turns into
 * addresses for C, and which reference/interpreter.ts reads where there is no C.
 */

export type Op =
  | QuantizeOp
  | LinearOp
  | PackOp
  | SearchOp
  | DenseOp
  | EmbedOp
  | NormOp
  | AttentionOp
  | GateOp
  | SampleOp
  | RooflineOp
  | EmptyOp

/** dp_op in C. */
interface OpOf<Kind extends keyof typeof OpKind> {
  kind: (typeof OpKind)[Kind]
  /** Any of OpFlags. */
  flags?: number
}

/** An op on M rows. */
interface RowsOp<Kind extends keyof typeof OpKind> extends OpOf<Kind> {
  m: number
}

/** Elements of activations; bfloat16 as its bits. */
export type Floats = Float32Array | Uint16Array

/** Addresses of rows, which lie anywhere; only C follows them. */
export type RowTable = BigUint64Array

/** Rows of activations, as they are, or gated, and quantised, or not yet: dp_quantize_params in C. */
export interface Rows {
  /** [M, K], or a table of rows; null where they are quantised. */
  x: Floats | Int8Array | RowTable | null
  type: keyof typeof Type
  /** [M, K] where the input is activation(x) * u. */
  u: Floats | null
  activation: keyof typeof Activation
  k: number
  /** Of a row, at most. */
  outliers: number
  /** The rows quantised, each `rowStride` bytes, and float32 [M]: their scales; null: not by an op before. */
  xq: Uint8Array | Int8Array | null
  xScale: Float32Array | null
}

/** xq, xScale = quantise(activation(x) * u) */
export interface QuantizeOp extends RowsOp<'quantize'>, Rows {}

/** Packed weights, where workers see them, and where C finds them. */
export interface PackedWeight {
  readonly inFeatures: number
  readonly outFeatures: number
  readonly type: 'int8' | 'int4'
  /** int8, 64c4 tiles; or the bytes of int4 ones, 64c8. */
  readonly tiles: Int8Array
  /** int32 [N, padded to 64]: sum over k of w[n, k]. */
  readonly colSum: Int32Array
  /** float32 [N, padded to 64]. */
  readonly scale: Float32Array | undefined
  readonly bias: Float32Array | undefined
  readonly addresses: { tiles: number; colSum: number; scale: number; bias: number }
}

/** y[M, N] = dequantise(quantise(input[M, K]) . w[N, K]) + bias; `float` quantises nothing. */
export interface LinearOp extends RowsOp<'gemv' | 'gemm' | 'float'>, Rows {
  weight: PackedWeight
  y: Floats | Int32Array | RowTable
  yType: keyof typeof Type
}

/** tiles, colSum (, scale) = pack(w[N, K]); of packTransposed w is [K, N], of packS4 nibbles [N, ceil(K / 2)]. */
export interface PackOp extends OpOf<'pack' | 'packTransposed' | 'quantizePack' | 'packS4'> {
  w: Int8Array | Floats
  /** int8 [N, ceil(K / 32)] of packS4. */
  multipliers: Int8Array | null
  wType: keyof typeof Type
  tiles: Int8Array
  colSum: Int32Array
  /** Written where w is float. */
  scale: Float32Array | null
  n: number
  k: number
}

/** (u - 8) * m * scale[N] ~ w[N, K], u, m and scale searched so that they err little. */
export interface SearchOp extends OpOf<'searchS4'> {
  /** [N, stride]; the first K of a row count. */
  w: Floats
  stride: number
  wType: keyof typeof Type
  /** How much each input counts: float32 [K padded to 32 with zeros]. */
  importance: Float32Array
  /** u: uint8 [N, ceil(K / 2)] */
  nibbles: Uint8Array
  /** m: int8 [N, ceil(K / 32)] */
  multipliers: Int8Array
  /** float32 [N] */
  scale: Float32Array
  n: number
  k: number
}

/** Float weights [N, K], rows padded to sixteen elements, where workers see them, and where C finds them. */
export interface FloatWeight {
  readonly type: 'float32' | 'bfloat16'
  readonly inFeatures: number
  readonly outFeatures: number
  readonly data: Floats
  /** float32 [N]. */
  readonly bias: Float32Array | undefined
  readonly address: number
  readonly biasAddress: number
}

/** y[M, N] = x[M, K] . float(w[N, K]) + bias */
export interface DenseOp extends RowsOp<'dense'> {
  x: Float32Array
  weight: FloatWeight
  y: Float32Array
}

/** What is to become of rows of logits. */
export interface Samples {
  /** dp_sample [M]. */
  readonly words: Uint32Array
  /** Of each row, dp_adjustment []: what is done to its logits. */
  readonly adjustments: readonly Uint32Array[]
  /** Scratch of each row, float32 [N]; empty where no log probabilities are wanted. */
  readonly copies: readonly Float32Array[]
  /** Of each row a tag, and then a bit for each id that may be sampled; empty where all may. */
  readonly masks: readonly Uint32Array[]
  /** Of each row, dp_candidate []: where its likeliest tokens are told. */
  readonly candidates: readonly Uint32Array[]
}

/** y[M, K] = float(w[token[M], K]) */
export interface EmbedOp extends RowsOp<'embed'> {
  /** dp_row [M]. */
  rows: Uint32Array
  /** Those of the batch before, which rows may take tokens from. */
  samples: Uint32Array | null
  weight: FloatWeight
  y: Float32Array
}

/** x += u; y and (xq, xScale) = x / rms(x) * scale */
export interface NormOp extends RowsOp<'norm'> {
  /** float32 [N, K]; the sum with u is written back. */
  x: Float32Array
  u: Float32Array | null
  /** uint32 [M]: which rows of x and u, each once; null: the first M. */
  rows: Uint32Array | null
  /** float32 [K]. */
  scale: Float32Array
  /** float32 [M, K]. */
  y: Float32Array | null
  xq: Uint8Array | Int8Array | null
  xScale: Float32Array | null
  n: number
  k: number
  outliers: number
  eps: number
}

/** Rows of a batch, and for each the pages of its sequence. */
export interface SequenceRows {
  /** dp_row [M]. */
  readonly words: Uint32Array
  readonly pages: readonly (readonly { readonly bytes: Uint8Array }[])[]
}

/** Keys and values into pages; what attention gives; see dp_attention in C. */
export interface AttentionOp extends RowsOp<'rotate' | 'attend' | 'merge'> {
  rows: SequenceRows
  layer: AttentionLayer
}

/** The attention of one layer. */
export interface AttentionLayer {
  /** dp_attention, which says the same. */
  readonly words: Uint32Array
  readonly geometry: AttentionGeometry
  /** float32 [M, queryHeads or kvHeads, D]; rotate overwrites q and k. */
  readonly q: Float32Array
  readonly k: Float32Array
  readonly v: Float32Array
  /** float32 [D], or undefined: not normed. */
  readonly qNorm: Float32Array | undefined
  readonly kNorm: Float32Array | undefined
  /** float32 [positions, 2, D / 2]: cosines, then sines. */
  readonly rotation: Float32Array
  /** float32 [M, queryHeads, D] */
  readonly out: Float32Array
}

/** What the attention of all rows of a layer has in common. */
export interface AttentionGeometry {
  /** A multiple of kvHeads. */
  queryHeads: number
  kvHeads: number
  /** D, even. */
  headDim: number
  /** A row sees so many positions up to its own; 0: all. */
  window: number
  cacheType: 'float32' | 'bfloat16' | 'int8'
  /** Where in every page this layer's heads begin, bytes. */
  pageOffset: number
  /** Of the norms of queries and keys, a float32. */
  eps: number
  /** Of q . k, a float32. */
  scale: number
}

/** y = activation(x) * u, [M, K] */
export interface GateOp extends RowsOp<'gate'> {
  x: Floats
  u: Floats
  y: Floats
  type: 'float32' | 'bfloat16'
  activation: Exclude<keyof typeof Activation, 'none'>
  k: number
}

/** What the rows of logits, float32 [M, N], ask for. */
export interface SampleOp extends RowsOp<'sample'> {
  logits: Float32Array
  samples: Samples
  n: number
}

/** What bounds all other ops, for C alone; see dp_roofline_params there. */
export interface RooflineOp extends OpOf<'read' | 'peak' | 'clock'> {
  x: ArrayBufferView | null
  /** uint64 */
  count: ArrayBufferView
  pieces: number
  streams: number
  /** Bytes. */
  ahead: number
}

/** Nothing: what a region costs. */
export interface EmptyOp extends OpOf<'empty' | 'meet'> {}

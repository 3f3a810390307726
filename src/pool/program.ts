import type { OpList } from './op-list.js'

/*
 * What ops hand to the pool. A program is written twice: as ops that the C interpreter runs, and as
 * TypeScript functions for machines without the native library.
 */

/** dp_op_kind in C. */
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
  pick: 17,
  gate: 18,
  clock: 19,
} as const

/**
 * dp_op_flags in C: together with the op before; x, y are tables of row addresses; after all programs
 * before.
 */
export const OpFlag = { together: 1, xRows: 2, yRows: 4, after: 8 } as const

/** dp_activation in C. */
export const NativeActivation = { silu: 1, gelu: 2, relu2: 3 } as const

/** dp_type in C. */
export const NativeType = { float32: 0, bfloat16: 1, int8: 2, int32: 3 } as const

/**
 * DP_BAD_ROW in C: the fault of an op whose row, the rest of the number, names a token, a position or a page
 * that is not there.
 */
export const BAD_ROW = 2 ** 31

/** One op as C reads it; dp_op says which fields an op uses. Addresses are numbers. */
export interface NativeOp {
  kind: number
  xType?: number
  yType?: number
  m?: number
  n?: number
  k?: number
  flags?: number
  activation?: number
  x?: number
  y?: number
  tiles?: number
  colSum?: number
  scale?: number
  bias?: number
  xq?: number
  xScale?: number
  u?: number
  rows?: number
  attention?: number
  eps?: number
  wType?: number
  outliers?: number
}

/** Which share of an op's work a call of its TypeScript function is to do. */
export interface Share {
  part: number
  parts: number
}

/** What a task has besides its share. */
export type ArgsOf<Task extends Share> = Omit<Task, keyof Share>

/** One op in TypeScript: a function of a module, called once for each part of the work. */
export interface ScriptOp {
  /** URL of the module that exports `run` under its own name. */
  module: string
  /** Does its share; returns 0, or 1 + the index of what is wrong with the input, or {@link BAD_ROW} + a row. */
  // biome-ignore lint/suspicious/noExplicitAny: every op has arguments of its own
  run(task: any): number
  /** Structured-clonable; results go into views of shared memory. */
  args: object
}

/** Work for the whole pool: ops that run one after the other, each on all workers. */
export interface Program {
  /**
   * The ops for C: at most sixteen, or a list of any length that the caller keeps and may run again once
   * it has been released. Buffers behind the addresses stay referenced by the program.
   */
  native(): NativeOp[] | OpList
  /** The same in TypeScript. */
  script(): ScriptOp[]
  /** Called once no worker can touch the program's memory any more, however the call ended. */
  release?(): void
}

/** Writes an op where C reads it: `at` counts 32-bit words. */
export function writeOp(words: Uint32Array, at: number, op: NativeOp): void {
  words[at] = op.kind
  words[at + 1] = op.xType ?? 0
  words[at + 2] = op.yType ?? 0
  words[at + 3] = op.m ?? 0
  words[at + 4] = op.n ?? 0
  words[at + 5] = op.k ?? 0
  words[at + 6] = op.flags ?? 0
  words[at + 7] = op.activation ?? 0
  writeAddress(words, at + 8, op.x)
  writeAddress(words, at + 10, op.y)
  writeAddress(words, at + 12, op.tiles)
  writeAddress(words, at + 14, op.colSum)
  writeAddress(words, at + 16, op.scale)
  writeAddress(words, at + 18, op.bias)
  writeAddress(words, at + 20, op.xq)
  writeAddress(words, at + 22, op.xScale)
  writeAddress(words, at + 24, op.u)
  writeAddress(words, at + 26, op.rows)
  writeAddress(words, at + 28, op.attention)
  words[at + 30] = floatBits(op.eps)
  words[at + 31] = (op.wType ?? 0) | ((op.outliers ?? 0) << 16)
}

const float = new Float32Array(1)
const floatWord = new Uint32Array(float.buffer)

function floatBits(value = 0): number {
  float[0] = value
  return floatWord[0]
}

function writeAddress(words: Uint32Array, at: number, address = 0): void {
  // both conversions take the integer part modulo 2^32
  words[at] = address
  words[at + 1] = address / 2 ** 32
}

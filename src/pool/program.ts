import {
  Activation,
  BAD_ROW,
  OpFlags,
  OpKind,
  OpLayout,
  Type,
  writeAttentionParams,
  writeDenseParams,
  writeEmbedParams,
  writeGateParams,
  writeLinearParams,
  writeNormParams,
  writePackParams,
  writePickParams,
  writeQuantizeParams,
  writeRooflineParams,
} from '../native/layout.js'
import type { OpList } from './op-list.js'

/*
 * What ops hand to the pool. A program is written twice: as ops that the C interpreter runs, and as
 * TypeScript functions for machines without the native library.
 */

export { Activation as NativeActivation, BAD_ROW, OpFlags as OpFlag, OpKind, Type as NativeType }

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
  const { kind, m = 0, n = 0, k = 0, flags = 0, activation = 0, outliers = 0, eps = 0 } = op
  const { xType = 0, yType = 0, wType = 0 } = op
  const { x = 0, y = 0, u = 0, tiles = 0, colSum = 0, scale = 0, bias = 0, rows = 0 } = op
  const { xq = 0, xScale = 0, attention = 0 } = op
  words[at + OpLayout.kind] = kind
  words[at + OpLayout.flags] = flags
  words[at + OpLayout.m] = m
  const params = at + OpLayout.linear
  const input = { x, u, xq, xScale, k, xType, activation, outliers }
  switch (kind) {
    case OpKind.quantize:
      writeQuantizeParams(words, params, input)
      break
    case OpKind.gemv:
    case OpKind.gemm:
    case OpKind.float:
      writeLinearParams(words, params, { ...input, y, tiles, colSum, scale, bias, n, yType })
      break
    case OpKind.pack:
    case OpKind.packTransposed:
    case OpKind.quantizePack:
      writePackParams(words, params, { w: x, tiles, colSum, scale, n, k, wType: xType })
      break
    case OpKind.dense:
      writeDenseParams(words, params, { x, w: tiles, bias, y, n, k, wType })
      break
    case OpKind.embed: {
      const pickCount = (u - x) / 64
      writeEmbedParams(words, params, { rows, picks: x, pickCount, w: tiles, y, n, k, wType })
      break
    }
    case OpKind.norm:
      writeNormParams(words, params, { x, u, rows, scale, y, xq, xScale, n, k, outliers, eps })
      break
    case OpKind.rotate:
    case OpKind.attend:
    case OpKind.merge:
      writeAttentionParams(words, params, { rows, layer: attention })
      break
    case OpKind.gate:
      writeGateParams(words, params, { x, u, y, k, type: xType, activation })
      break
    case OpKind.pick:
      writePickParams(words, params, { logits: x, picks: rows, n })
      break
    case OpKind.read:
    case OpKind.peak:
    case OpKind.clock:
      writeRooflineParams(words, params, { x, count: y, pieces: n, streams: m, ahead: k })
  }
}

import type { Native } from './abi.js'
import {
  Activation,
  OpKind,
  OpLayout,
  SampleLayout,
  Type,
  writeAttentionParams,
  writeDenseParams,
  writeEmbedParams,
  writeGateParams,
  writeLinearParams,
  writeNormParams,
  writePackParams,
  writeQuantizeParams,
  writeRooflineParams,
  writeSampleParams,
  writeSearchParams,
} from './layout.js'
import type { Op } from './op.js'

/*
 * Every call of a Linear passes here, so that parameters are spelt out: to spread them takes as long as the call.
 */

/** Writes an op where C reads it, dp_op: `at` counts 32-bit words. */
export function encodeOp(native: Native, words: Uint32Array, at: number, op: Op): void {
  const addressOf = (view: ArrayBufferView | null) => (view === null ? 0 : native.address(view))
  words[at + OpLayout.kind] = op.kind
  words[at + OpLayout.flags] = op.flags ?? 0
  words[at + OpLayout.m] = 'm' in op ? op.m : 0
  const to = at + OpLayout.linear
  switch (op.kind) {
    case OpKind.quantize:
      writeQuantizeParams(words, to, {
        x: addressOf(op.x),
        u: addressOf(op.u),
        xq: addressOf(op.xq),
        xScale: addressOf(op.xScale),
        k: op.k,
        xType: Type[op.type],
        activation: Activation[op.activation],
        outliers: op.outliers,
      })
      break
    case OpKind.gemv:
    case OpKind.gemm:
    case OpKind.float: {
      const { type, outFeatures, addresses } = op.weight
      writeLinearParams(words, to, {
        x: addressOf(op.x),
        u: addressOf(op.u),
        xq: addressOf(op.xq),
        xScale: addressOf(op.xScale),
        k: op.k,
        xType: Type[op.type],
        activation: Activation[op.activation],
        outliers: op.outliers,
        y: addressOf(op.y),
        tiles: addresses.tiles,
        colSum: addresses.colSum,
        scale: addresses.scale,
        bias: addresses.bias,
        n: outFeatures,
        yType: Type[op.yType],
        wType: Type[type],
      })
      break
    }
    case OpKind.pack:
    case OpKind.packTransposed:
    case OpKind.quantizePack:
    case OpKind.packS4:
      writePackParams(words, to, {
        w: addressOf(op.w),
        multipliers: addressOf(op.multipliers),
        tiles: addressOf(op.tiles),
        colSum: addressOf(op.colSum),
        scale: addressOf(op.scale),
        n: op.n,
        k: op.k,
        wType: Type[op.wType],
      })
      break
    case OpKind.searchS4:
      writeSearchParams(words, to, {
        w: addressOf(op.w),
        importance: addressOf(op.importance),
        nibbles: addressOf(op.nibbles),
        multipliers: addressOf(op.multipliers),
        scale: addressOf(op.scale),
        n: op.n,
        k: op.k,
        stride: op.stride,
        wType: Type[op.wType],
      })
      break
    case OpKind.dense:
      writeDenseParams(words, to, {
        x: addressOf(op.x),
        w: op.weight.address,
        bias: op.weight.biasAddress,
        y: addressOf(op.y),
        n: op.weight.outFeatures,
        k: op.weight.inFeatures,
        wType: Type[op.weight.type],
      })
      break
    case OpKind.embed:
      writeEmbedParams(words, to, {
        rows: addressOf(op.rows),
        samples: addressOf(op.samples),
        sampleCount: (op.samples?.length ?? 0) / SampleLayout.words,
        w: op.weight.address,
        y: addressOf(op.y),
        n: op.weight.outFeatures,
        k: op.weight.inFeatures,
        wType: Type[op.weight.type],
      })
      break
    case OpKind.norm:
      writeNormParams(words, to, {
        x: addressOf(op.x),
        u: addressOf(op.u),
        rows: addressOf(op.rows),
        scale: addressOf(op.scale),
        y: addressOf(op.y),
        xq: addressOf(op.xq),
        xScale: addressOf(op.xScale),
        n: op.n,
        k: op.k,
        outliers: op.outliers,
        eps: op.eps,
      })
      break
    case OpKind.rotate:
    case OpKind.attend:
    case OpKind.merge:
      writeAttentionParams(words, to, {
        rows: addressOf(op.rows.words),
        layer: addressOf(op.layer.words),
      })
      break
    case OpKind.gate:
      writeGateParams(words, to, {
        x: addressOf(op.x),
        u: addressOf(op.u),
        y: addressOf(op.y),
        k: op.k,
        type: Type[op.type],
        activation: Activation[op.activation],
      })
      break
    case OpKind.sample:
      writeSampleParams(words, to, {
        logits: addressOf(op.logits),
        samples: addressOf(op.samples.words),
        n: op.n,
      })
      break
    case OpKind.read:
    case OpKind.peak:
    case OpKind.clock: {
      const { pieces, streams, ahead } = op
      const [x, count] = [addressOf(op.x), addressOf(op.count)]
      writeRooflineParams(words, to, { x, count, pieces, streams, ahead })
    }
  }
}

import type { LinearFormat } from '../config/linear-format.js'
import type { LinearSpec } from '../config/parameters.js'
import { packedTensors } from '../grouped/packed-tensors.js'
import type { Checkpoint } from './checkpoint.js'

/*
 * A Linear as a checkpoint stores it, with or without a bias:
 *
 *   float   `weight` [N, K]
 *   int8    in the compressed-tensors layout: `weight` I8 [N, K] with `weight_scale` [N, 1] or [1]
 *   int4    in dotpool's own: `weight` U8 [N, ceil(K / 2)], nibbles, with `weight_multiplier` I8 [N, ceil(K / 32)] and
 *           `weight_scale` [N, 1] or [1]; see `Int4Weight`
 *   packed  in four bits by another tool, with float scales by groups; see `src/model/grouped`
 */

export type StoredFormat = LinearFormat | 'packed'

/** How the checkpoint holds this Linear. */
export function storedFormat(checkpoint: Checkpoint, spec: LinearSpec): StoredFormat {
  if (packedTensors(checkpoint, spec) !== undefined) return 'packed'
  const dtype = checkpoint.dtype(spec.weight)
  if (dtype === 'I8') return 'int8'
  return dtype === 'U8' && checkpoint.config.quantization === 'w4a8' ? 'int4' : 'float'
}

/** The tensors of the Linear. */
export function tensorsOf(checkpoint: Checkpoint, spec: LinearSpec): string[] {
  return [...weightTensors(checkpoint, spec), ...(spec.bias ? [biasOf(spec)] : [])]
}

/** The tensors of its weight. */
export function weightTensors(checkpoint: Checkpoint, spec: LinearSpec): string[] {
  const packed = packedTensors(checkpoint, spec)
  if (packed !== undefined) return packed
  const format = storedFormat(checkpoint, spec)
  return [
    spec.weight,
    ...(format === 'float' ? [] : [scaleOf(spec)]),
    ...(format === 'int4' ? [multiplierOf(spec)] : []),
  ]
}

export function scaleOf(spec: LinearSpec): string {
  return `${spec.weight}_scale`
}

export function multiplierOf(spec: LinearSpec): string {
  return `${spec.weight}_multiplier`
}

export function biasOf(spec: LinearSpec): string {
  return `${spec.name}.bias`
}

import { ArgumentError, describe } from '../../errors.js'
import { type WeightType, weightTypes } from '../../ops/weight.js'
import type { ModelConfig } from './config.js'
import { HEAD, layerName } from './parameters.js'
import type { Quantization } from './quantization-config.js'

/** How a Linear's weight is held: four bits are an encoding of int8. */
export type LinearFormat = 'float' | WeightType

/**
 * The format of a Linear under `w4a8` where no text tells what four bits would do to it. Those that are known to do most
 * harm stay in int8: every `v_proj`, the `down_proj` of the last layer, and the head unless asked for otherwise.
 */
export function defaultW4A8Format(
  name: string,
  { numHiddenLayers }: Pick<ModelConfig, 'numHiddenLayers'>,
  head: WeightType = 'int8',
): WeightType {
  if (name === HEAD) return head
  const lastDown = `${layerName(numHiddenLayers - 1)}.mlp.down_proj`
  return name === lastDown || name.endsWith('.v_proj') ? 'int8' : 'int4'
}

/** @throws ArgumentError for one that is neither, or goes without `w4a8` */
export function checkHead(head: unknown, quantize: Quantization): void {
  if (head === undefined) return
  if (!weightTypes.includes(head as WeightType)) {
    throw new ArgumentError('head', `one of ${weightTypes.join(', ')}`, describe(head))
  }
  if (quantize !== 'w4a8') {
    throw new ArgumentError('head', "none without `quantize: 'w4a8'`", describe(head))
  }
}

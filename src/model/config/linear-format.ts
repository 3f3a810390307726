import type { WeightType } from '../../ops/weight.js'
import type { ModelConfig } from './config.js'
import { HEAD, layerName } from './parameters.js'

/** How a Linear's weight is held: four bits are an encoding of int8. */
export type LinearFormat = 'float' | WeightType

/**
 * The format of a Linear under `w4a8` where no text tells what four bits would do to it. Those that are known to do most
 * harm stay in int8: every `v_proj`, the `down_proj` of the last layer, and the head.
 */
export function defaultW4A8Format(
  name: string,
  { numHiddenLayers }: Pick<ModelConfig, 'numHiddenLayers'>,
): WeightType {
  const lastDown = `${layerName(numHiddenLayers - 1)}.mlp.down_proj`
  return name === HEAD || name === lastDown || name.endsWith('.v_proj') ? 'int8' : 'int4'
}

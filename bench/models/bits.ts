import { defaultW4A8Format } from '../../src/model/config/linear-format.js'
import { type ModelShape, weightCount } from './shapes.js'
import { tensorsOf } from './tensors.js'

/** How many bits the weights of a model's Linears need. */
export type Bits = 8 | 4

/** Whether this Linear of a model has four bits in W4A8. */
export function isInt4({ layers }: ModelShape, name: string): boolean {
  return defaultW4A8Format(name, { numHiddenLayers: layers }) === 'int4'
}

/** Bytes of what every token is multiplied by: of all Linears and the head, as W8A8, or W4A8, holds them. */
export function weightBytes(shape: ModelShape, bits: Bits, headBits: Bits): number {
  const inFourBits = tensorsOf(shape)
    .filter(({ kind, name }) =>
      kind === 'embedding'
        ? headBits === 4
        : kind === 'linear' && bits === 4 && isInt4(shape, name),
    )
    .reduce((sum, { rows, columns }) => sum + rows * columns, 0)
  // a byte for two, and one for 32
  return weightCount(shape) - inFourBits * (1 - 17 / 32)
}

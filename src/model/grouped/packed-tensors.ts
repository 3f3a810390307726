import { FormatError } from '../../errors.js'
import type { Checkpoint } from '../checkpoint/checkpoint.js'
import type { Packing } from '../config/packing.js'
import { EMBEDDING, type LinearSpec } from '../config/parameters.js'

interface PackedNames {
  /** The nibbles; where it is, the Linear is packed. */
  readonly weight: string
  readonly others: readonly string[]
  readonly optional: readonly string[]
}

/** The tensors that a Linear is packed in. */
const namesOf: Readonly<Record<Packing['method'], PackedNames>> = {
  'compressed-tensors': {
    weight: 'weight_packed',
    others: ['weight_scale'],
    optional: ['weight_zero_point', 'weight_g_idx', 'weight_shape'],
  },
  gptq: { weight: 'qweight', others: ['qzeros', 'scales'], optional: ['g_idx', 'bias'] },
  awq: { weight: 'qweight', others: ['qzeros', 'scales'], optional: ['bias'] },
}

/** The tensors of a Linear's weight that another tool packed in four bits; undefined if it is stored otherwise. */
export function packedTensors(checkpoint: Checkpoint, spec: LinearSpec): string[] | undefined {
  const { packing } = checkpoint.config
  if (packing === undefined || spec.weight === EMBEDDING) return undefined
  const { weight, others, optional } = namesOf[packing.method]
  const whole = (name: string) => `${spec.name}.${name}`
  if (!checkpoint.has(whole(weight))) return undefined
  const present = optional
    // the model's own bias is no part of the weight
    .filter((name) => checkpoint.has(whole(name)) && !(name === 'bias' && spec.bias))
    .map(whole)
  return [whole(weight), ...others.map(whole), ...present]
}

/** The number of rows of a matrix. Throws a FormatError if the tensor is missing or none. */
export function rowsOf(checkpoint: Checkpoint, name: string): number {
  return sizesOf(checkpoint, name)[0]
}

/** The number of columns of a matrix. Throws a FormatError if the tensor is missing or none. */
export function columnsOf(checkpoint: Checkpoint, name: string): number {
  return sizesOf(checkpoint, name)[1]
}

function sizesOf(checkpoint: Checkpoint, name: string): readonly number[] {
  const { dims } = checkpoint.entry(name)
  if (dims.length === 2) return dims
  const problem = `tensor ${name}: expected a matrix, got shape [${dims}]`
  throw new FormatError(checkpoint.fileOf(name), problem)
}

import { ArgumentError } from '../../errors.js'
import { WHOLE } from './shards.js'
import { byteLengthOf, type TensorSource } from './tensor-source.js'

/** A safetensors file to be written. */
export interface Shard {
  readonly file: string
  readonly tensors: readonly TensorSource[]
  /** Of all its tensors together. */
  readonly byteLength: number
}

/**
 * Distributes tensors to files, in order, named as transformers names them.
 *
 * @param shardBytes the most bytes of one file, unless it holds only one tensor
 * @throws ArgumentError for a name given twice, or a tensor that safetensors cannot hold
 */
export function planShards(tensors: Iterable<TensorSource>, shardBytes: number): Shard[] {
  const parts: { tensors: TensorSource[]; byteLength: number }[] = [{ tensors: [], byteLength: 0 }]
  const names = new Set<string>()
  for (const tensor of tensors) {
    const { name } = tensor
    if (names.has(name)) throw new ArgumentError('tensors', 'every name once', `${name} twice`)
    names.add(name)
    const byteLength = byteLengthOf(tensor)
    let part = parts[parts.length - 1]
    if (part.tensors.length > 0 && part.byteLength + byteLength > shardBytes) {
      part = { tensors: [], byteLength: 0 }
      parts.push(part)
    }
    part.tensors.push(tensor)
    part.byteLength += byteLength
  }
  return parts.map((part, i) => ({ ...part, file: fileName(i, parts.length) }))
}

/** The JSON of `model.safetensors.index.json`. */
export function indexOf(shards: readonly Shard[]): object {
  const total = shards.reduce((bytes, { byteLength }) => bytes + byteLength, 0)
  const places = shards.flatMap(({ file, tensors }) => tensors.map(({ name }) => [name, file]))
  return { metadata: { total_size: total }, weight_map: Object.fromEntries(places) }
}

function fileName(i: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, '0')
  return count === 1 ? WHOLE : `model-${digits(i + 1)}-of-${digits(count)}.safetensors`
}

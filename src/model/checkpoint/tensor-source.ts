import { ArgumentError, describe } from '../../errors.js'
import { sizeOf } from '../../tensor.js'
import type { Checkpoint } from './checkpoint.js'
import { itemSizes } from './safetensors-header.js'

/** A tensor to be written. Its bytes are requested once, when its turn comes. */
export interface TensorSource {
  readonly name: string
  /** As safetensors spell it, e.g. `I8`. */
  readonly dtype: string
  readonly dims: readonly number[]
  /**
   * The bytes in order, row-major, little-endian, in pieces of any size. A piece is written before the next one is
   * requested, so all may share one buffer.
   */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** A tensor of an open checkpoint, unchanged. */
export function storedTensor(
  checkpoint: Checkpoint,
  name: string,
  signal?: AbortSignal,
): TensorSource {
  const { dtype, dims } = checkpoint.entry(name)
  return { name, dtype, dims, chunks: () => checkpoint.chunks(name, signal) }
}

/**
 * The bytes that a tensor must yield.
 *
 * @throws ArgumentError for a name, dtype or shape that safetensors cannot have
 */
export function byteLengthOf({ name, dtype, dims }: TensorSource): number {
  if (typeof name !== 'string' || name === '__metadata__') {
    throw new ArgumentError('tensors', 'names of tensors', describe(name))
  }
  const itemSize = itemSizes.get(dtype)
  if (itemSize === undefined) {
    const expected = `for ${name} one of ${[...itemSizes.keys()].join(', ')}`
    throw new ArgumentError('tensors', expected, describe(dtype))
  }
  const byteLength = sizeOf(dims) * itemSize
  if (!dims.every((d) => Number.isSafeInteger(d) && d >= 0) || !Number.isSafeInteger(byteLength)) {
    throw new ArgumentError('tensors', `for ${name} a list of sizes`, `[${dims}]`)
  }
  return byteLength
}

/**
 * Counts the bytes of a tensor.
 *
 * @throws ArgumentError if they are not as many as its dtype and shape say
 */
export async function* countedChunks(
  source: TensorSource,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const total = byteLengthOf(source)
  let given = 0
  for await (const chunk of source.chunks()) {
    signal?.throwIfAborted()
    given += chunk.byteLength
    if (given > total) break
    yield chunk
  }
  if (given === total) return
  const count = given > total ? 'more' : `${given}`
  throw new ArgumentError('tensors', `${total} bytes of ${source.name}`, count)
}

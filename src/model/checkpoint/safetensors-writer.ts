import { itemSizes } from './safetensors-header.js'
import { byteLengthOf, countedChunks, type TensorSource } from './tensor-source.js'

/** The data begins at a multiple of this, so that elements of any dtype are aligned. */
const ALIGNMENT = 8

export interface WriteOptions {
  /** Aborts the work. */
  readonly signal: AbortSignal | undefined
  /** Called with the size of every piece of a tensor after it was written. */
  count(bytes: number): void
}

/**
 * The bytes of a safetensors file, https://github.com/huggingface/safetensors#format. Tensors of wider elements come
 * first, so that each is aligned to its element size.
 *
 * @throws at the step where it occurs: an error of the tensors' chunks, the signal's reason, or an
 *   ArgumentError if a tensor yields more or fewer bytes than it should
 */
export async function* safetensorsBytes(
  tensors: readonly TensorSource[],
  { signal, count }: WriteOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const itemSize = ({ dtype }: TensorSource) => itemSizes.get(dtype) as number
  const sorted = tensors.toSorted((a, b) => itemSize(b) - itemSize(a))
  yield headerOf(sorted)
  for (const tensor of sorted) {
    for await (const chunk of countedChunks(tensor, signal)) {
      yield chunk
      count(chunk.byteLength)
    }
  }
}

/** The length of the header's text, the text, and spaces up to the alignment. */
function headerOf(tensors: readonly TensorSource[]): Uint8Array {
  let end = 0
  const entries = tensors.map((tensor) => {
    const begin = end
    end += byteLengthOf(tensor)
    const { name, dtype, dims } = tensor
    return [name, { dtype, shape: dims, data_offsets: [begin, end] }]
  })
  // transformers requires this metadata
  const header = { __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const padded = Math.ceil(text.byteLength / ALIGNMENT) * ALIGNMENT
  const bytes = new Uint8Array(8 + padded).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true)
  bytes.set(text, 8)
  return bytes
}

import type { WeightSource } from '../../ops/weight.js'
import type { Pool } from '../../pool/pool.js'
import { checkInt4, decodeInt4Channel, int4Strides } from '../../reference/int4.js'
import type { LinearSpec } from '../config/parameters.js'
import { GroupedFloats } from '../grouped/grouped-weight.js'
import { openPacked } from '../grouped/open.js'
import type { QuantizedInt4 } from '../quantization/int4-quantizer.js'
import { multiplierOf, scaleOf, storedFormat } from './stored-format.js'
import { StoredRows, scaleRows } from './stored-rows.js'
import type { TensorReader } from './tensor-reader.js'

/** The weight of a Linear, however it is stored, read some output channels at a time. */
export interface StoredWeight extends WeightSource, Disposable {
  /** float32 [N] of int8 weights; undefined for floats. */
  readonly scale: Float32Array | undefined
}

/**
 * Opens a weight as int8, if it is stored so or in dotpool's four bits, or else as floats.
 *
 * @throws FormatError if a tensor is missing, or has the wrong shape or dtype; ArgumentError for numbers that cannot be
 *   used
 */
export async function openWeight(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
): Promise<StoredWeight> {
  const packed = await openPacked(reader, spec)
  if (packed !== undefined) return unscaled(new GroupedFloats(packed))
  const format = storedFormat(reader.checkpoint, spec)
  if (format === 'int4') return decoded(await readInt4(reader, spec), spec)
  const rows = new StoredRows(pool, reader, spec.weight, [spec.outFeatures, spec.inFeatures])
  return {
    bytesPerElement: rows.bytesPerElement,
    read: (first, last) => rows.read(first, last),
    scale: format === 'int8' ? await readScale(reader, spec) : undefined,
    [Symbol.dispose]: () => rows.release(),
  }
}

/** The floats of a weight: int8 rows times their scales. */
export function floatsOf({ scale, ...weight }: StoredWeight): WeightSource {
  if (scale === undefined) return weight
  return {
    bytesPerElement: Float32Array.BYTES_PER_ELEMENT,
    read: async (first, last) => {
      const rows = (await weight.read(first, last)) as Int8Array
      return scaleRows(rows, rows.length / (last - first), scale.subarray(first))
    },
  }
}

function unscaled(source: WeightSource): StoredWeight {
  return {
    bytesPerElement: source.bytesPerElement,
    read: (first, last) => source.read(first, last),
    scale: undefined,
    [Symbol.dispose]: () => {},
  }
}

/** The int8 weights that four bits stand for. */
function decoded({ scale, ...weight }: QuantizedInt4, spec: LinearSpec): StoredWeight {
  checkInt4(weight, spec)
  const K = spec.inFeatures
  const read = (first: number, last: number) => {
    const rows = new Int8Array((last - first) * K)
    for (let n = first; n < last; n++) {
      decodeInt4Channel(weight, n, rows.subarray((n - first) * K, (n - first + 1) * K))
    }
    return rows
  }
  return { bytesPerElement: 1, read, scale, [Symbol.dispose]: () => {} }
}

/**
 * Reads a weight that is stored in dotpool's four bits.
 *
 * @throws FormatError if a tensor is missing, or has the wrong shape or dtype
 */
export async function readInt4(reader: TensorReader, spec: LinearSpec): Promise<QuantizedInt4> {
  const N = spec.outFeatures
  const stride = int4Strides(spec.inFeatures)
  const nibbles = new Uint8Array(new SharedArrayBuffer(N * stride.nibbles))
  const multipliers = new Int8Array(new SharedArrayBuffer(N * stride.multipliers))
  reader.checkDtype(multiplierOf(spec), ['I8'])
  await reader.readRows(spec.weight, [N, stride.nibbles], 0, N, nibbles)
  const bytes = new Uint8Array(multipliers.buffer)
  await reader.readRows(multiplierOf(spec), [N, stride.multipliers], 0, N, bytes)
  return { nibbles, multipliers, scale: await readScale(reader, spec) }
}

/** Scales of int8 weights: float32 [N]. */
export async function readScale(reader: TensorReader, spec: LinearSpec): Promise<Float32Array> {
  const name = scaleOf(spec)
  const N = spec.outFeatures
  const perTensor = reader.checkpoint.entry(name).dims.length === 1
  const values = await reader.readFloat(name, perTensor ? [1] : [N, 1])
  return perTensor ? new Float32Array(N).fill(values[0]) : values
}

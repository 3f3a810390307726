import { ArgumentError, FormatError } from '../../errors.js'
import { DenseWeight } from '../../ops/dense-weight.js'
import { FloatLinear } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import type { Pool } from '../../pool/pool.js'
import type { LinearSpec } from '../config/parameters.js'
import { openGrouped } from '../grouped/open.js'
import type { Int4Quantizer, QuantizedInt4 } from '../quantization/int4-quantizer.js'
import { readDense } from './stored-dense.js'
import { biasOf, storedFormat, weightTensors } from './stored-format.js'
import { floatsOf, openWeight, readInt4, readScale } from './stored-weight.js'
import type { TensorReader } from './tensor-reader.js'

/** Floats made at a time, bytes. */
const CHUNK = 8 << 20

/**
 * Loads it in int8: decodes dotpool's four bits, quantises floats, and what another tool stored in four bits, while
 * reading.
 *
 * @param outliers of a row of activations, at most
 * @param tied the weight, if it is loaded already as that of a tied head
 * @throws FormatError if a tensor is missing, has the wrong shape or dtype, or its numbers
 *   cannot be used, such as a NaN; errors of the pool
 */
export async function toLinear(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
  outliers: number,
  tied?: DenseWeight,
): Promise<Linear> {
  const { inFeatures, outFeatures } = spec
  const { signal } = reader
  return await orFormatError(reader, spec, async () => {
    const bias = await readBias(reader, spec)
    const options = { inFeatures, outFeatures, bias, outliers, signal }
    if (tied !== undefined) return await Linear.fromSource(pool, tied, undefined, options)
    using weight = await openWeight(pool, reader, spec)
    return await Linear.fromSource(pool, weight, weight.scale, options)
  })
}

/**
 * Loads it in four bits; gives integer multipliers to what another tool stored so, and quantises any other weight.
 *
 * @throws as {@link toLinear}
 */
export async function toInt4Linear(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
  outliers: number,
  quantizer: Int4Quantizer,
): Promise<Linear> {
  const { inFeatures, outFeatures } = spec
  const { signal } = reader
  return await orFormatError(reader, spec, async () => {
    const { scale, ...weight } = await toInt4(pool, reader, spec, quantizer)
    const bias = await readBias(reader, spec)
    return await Linear.fromInt4(pool, weight, scale, {
      ...{ inFeatures, outFeatures, bias, outliers, signal },
    })
  })
}

async function toInt4(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
  quantizer: Int4Quantizer,
): Promise<QuantizedInt4> {
  if (storedFormat(reader.checkpoint, spec) === 'int4') return await readInt4(reader, spec)
  const grouped = await openGrouped(reader, spec)
  if (grouped !== undefined) return await quantizer.regroup(grouped, spec, reader.signal)
  using weight = await openWeight(pool, reader, spec)
  return await quantizer.quantize(floatsOf(weight), spec, undefined, reader.signal)
}

/**
 * Loads it in float32, with the weight as it is stored; dequantises any other.
 *
 * @throws as {@link toLinear}
 */
export async function toFloatLinear(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
  tied?: DenseWeight,
): Promise<FloatLinear> {
  if (tied !== undefined) return FloatLinear.fromDense(pool, tied)
  return await orFormatError(reader, spec, async () => {
    const bias = await readBias(reader, spec)
    const { inFeatures, outFeatures } = spec
    const format = storedFormat(reader.checkpoint, spec)
    if (format === 'int8' || format === 'float') {
      const scale = format === 'int8' ? await readScale(reader, spec) : undefined
      const dims = [outFeatures, inFeatures] as const
      const weight = await readDense(pool, reader, spec.weight, dims, { scale, bias })
      return FloatLinear.fromDense(pool, weight)
    }
    using stored = await openWeight(pool, reader, spec)
    const floats = floatsOf(stored)
    const weight = new DenseWeight(pool, 'float32', outFeatures, inFeatures, bias)
    const rows = Math.max(1, Math.floor(CHUNK / (inFeatures * floats.bytesPerElement)))
    for (let first = 0; first < outFeatures; first += rows) {
      const last = Math.min(first + rows, outFeatures)
      weight.set(first, (await floats.read(first, last)) as Float32Array)
    }
    return FloatLinear.fromDense(pool, weight)
  })
}

/** What is wrong with the numbers of a Linear is wrong with its file. */
async function orFormatError<T>(
  { checkpoint }: TensorReader,
  spec: LinearSpec,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error
    const file = checkpoint.fileOf(weightTensors(checkpoint, spec)[0])
    throw new FormatError(file, `${spec.name}: ${error.message}`, { cause: error })
  }
}

async function readBias(reader: TensorReader, spec: LinearSpec): Promise<Float32Array | undefined> {
  return spec.bias ? await reader.readFloat(biasOf(spec), [spec.outFeatures]) : undefined
}

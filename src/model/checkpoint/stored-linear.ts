import { ArgumentError, FormatError } from '../../errors.js'
import { DenseWeight } from '../../ops/dense-weight.js'
import { FloatLinear } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import type { Pool } from '../../pool/pool.js'
import { checkInt4, decodeInt4Channel, int4Strides } from '../../reference/int4.js'
import type { LinearFormat } from '../config/linear-format.js'
import type { LinearSpec } from '../config/parameters.js'
import { type Int4Quantizer, newInt4, type QuantizedInt4 } from '../quantization/int4-quantizer.js'
import type { Checkpoint } from './checkpoint.js'
import { readDense } from './stored-dense.js'
import { StoredRows } from './stored-rows.js'
import type { TensorReader } from './tensor-reader.js'

/*
 * A Linear as a checkpoint stores it, with or without a bias:
 *
 *   float  `weight` [N, K]
 *   int8   in the compressed-tensors layout: `weight` I8 [N, K] with `weight_scale` [N, 1] or [1]
 *   int4   in dotpool's own: `weight` U8 [N, ceil(K / 2)], nibbles, with `weight_multiplier` I8 [N, ceil(K / 32)] and
 *          `weight_scale` [N, 1] or [1]; see `Int4Weight`
 */

/** How the checkpoint holds this Linear. */
export function storedFormat(checkpoint: Checkpoint, spec: LinearSpec): LinearFormat {
  const dtype = checkpoint.dtype(spec.weight)
  if (dtype === 'I8') return 'int8'
  return dtype === 'U8' && checkpoint.config.quantization === 'w4a8' ? 'int4' : 'float'
}

/** The tensors of the Linear. */
export function tensorsOf(checkpoint: Checkpoint, spec: LinearSpec): string[] {
  const format = storedFormat(checkpoint, spec)
  return [
    spec.weight,
    ...(format === 'float' ? [] : [scaleOf(spec)]),
    ...(format === 'int4' ? [multiplierOf(spec)] : []),
    ...(spec.bias ? [biasOf(spec)] : []),
  ]
}

/**
 * Loads it in int8; quantises a float weight while reading.
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
  const rows =
    tied === undefined
      ? new StoredRows(pool, reader, spec.weight, [outFeatures, inFeatures])
      : undefined
  try {
    const scale = rows?.dtype === 'I8' ? await readScale(reader, spec) : undefined
    const bias = await readBias(reader, spec)
    const options = { inFeatures, outFeatures, bias, outliers, signal }
    return await Linear.fromSource(pool, rows ?? (tied as DenseWeight), scale, options)
  } catch (error) {
    throw formatErrorOf(error, reader, spec)
  } finally {
    rows?.release()
  }
}

/**
 * Loads it in four bits; quantises any other weight.
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
  try {
    const { scale, ...weight } =
      storedFormat(reader.checkpoint, spec) === 'int4'
        ? await readInt4(reader, spec)
        : await quantizeInt4(pool, reader, spec, quantizer)
    const bias = await readBias(reader, spec)
    return await Linear.fromInt4(pool, weight, scale, {
      ...{ inFeatures, outFeatures, bias, outliers, signal },
    })
  } catch (error) {
    throw formatErrorOf(error, reader, spec)
  }
}

/** What is wrong with the numbers of a Linear is wrong with its file. */
function formatErrorOf(error: unknown, { checkpoint }: TensorReader, spec: LinearSpec): unknown {
  if (!(error instanceof ArgumentError)) return error
  const file = checkpoint.fileOf(spec.weight)
  return new FormatError(file, `${spec.name}: ${error.message}`, { cause: error })
}

/** Quantises a weight that is stored in another format to four bits, while reading. */
async function quantizeInt4(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
  quantizer: Int4Quantizer,
): Promise<QuantizedInt4> {
  const rows = new StoredRows(pool, reader, spec.weight, [spec.outFeatures, spec.inFeatures])
  try {
    if (rows.dtype !== 'I8') return await quantizer.quantize(rows, spec, undefined, reader.signal)
    const scale = await readScale(reader, spec)
    const floats = {
      bytesPerElement: Float32Array.BYTES_PER_ELEMENT,
      read: (first: number, last: number) => rows.readFloats(first, last, scale),
    }
    return await quantizer.quantize(floats, spec, undefined, reader.signal)
  } finally {
    rows.release()
  }
}

/** Reads a weight that is stored in four bits. */
async function readInt4(reader: TensorReader, spec: LinearSpec): Promise<QuantizedInt4> {
  const N = spec.outFeatures
  const weight = newInt4(spec)
  const stride = int4Strides(spec.inFeatures)
  const { nibbles, multipliers } = weight
  const file = reader.checkpoint.fileOf(multiplierOf(spec))
  if (reader.checkpoint.dtype(multiplierOf(spec)) !== 'I8') {
    throw new FormatError(file, `tensor ${multiplierOf(spec)}: expected dtype I8`)
  }
  await reader.readRows(spec.weight, [N, stride.nibbles], 0, N, nibbles)
  const bytes = new Uint8Array(multipliers.buffer)
  await reader.readRows(multiplierOf(spec), [N, stride.multipliers], 0, N, bytes)
  return { nibbles, multipliers, scale: await readScale(reader, spec) }
}

/**
 * Loads it in float32, with the weight as it is stored; dequantises int8.
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
  const format = storedFormat(reader.checkpoint, spec)
  if (format === 'int4') return await decodeToFloat(pool, reader, spec)
  const scale = format === 'int8' ? await readScale(reader, spec) : undefined
  const bias = await readBias(reader, spec)
  const dims = [spec.outFeatures, spec.inFeatures] as const
  return FloatLinear.fromDense(
    pool,
    await readDense(pool, reader, spec.weight, dims, { scale, bias }),
  )
}

/** Loads a Linear in float32 that is stored in four bits. */
async function decodeToFloat(
  pool: Pool,
  reader: TensorReader,
  spec: LinearSpec,
): Promise<FloatLinear> {
  const { inFeatures: K, outFeatures: N } = spec
  try {
    const { scale, ...weight } = await readInt4(reader, spec)
    checkInt4(weight, spec)
    const dense = new DenseWeight(pool, 'float32', N, K, await readBias(reader, spec))
    const row = new Int8Array(K)
    for (let n = 0; n < N; n++) {
      decodeInt4Channel(weight, n, row)
      dense.set(
        n,
        Float32Array.from(row, (q) => q * scale[n]),
      )
    }
    return FloatLinear.fromDense(pool, dense)
  } catch (error) {
    throw formatErrorOf(error, reader, spec)
  }
}

async function readBias(reader: TensorReader, spec: LinearSpec): Promise<Float32Array | undefined> {
  return spec.bias ? await reader.readFloat(biasOf(spec), [spec.outFeatures]) : undefined
}

async function readScale(reader: TensorReader, spec: LinearSpec): Promise<Float32Array> {
  const name = scaleOf(spec)
  const N = spec.outFeatures
  const perTensor = reader.checkpoint.entry(name).dims.length === 1
  const values = await reader.readFloat(name, perTensor ? [1] : [N, 1])
  return perTensor ? new Float32Array(N).fill(values[0]) : values
}

function scaleOf(spec: LinearSpec): string {
  return `${spec.weight}_scale`
}

function multiplierOf(spec: LinearSpec): string {
  return `${spec.weight}_multiplier`
}

function biasOf(spec: LinearSpec): string {
  return `${spec.name}.bias`
}

import { ArgumentError, FormatError } from '../../errors.js'
import type { DenseWeight } from '../../ops/dense-weight.js'
import { FloatLinear } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import type { Pool } from '../../pool/pool.js'
import type { LinearSpec } from '../config/parameters.js'
import type { Checkpoint } from './checkpoint.js'
import { readDense } from './stored-dense.js'
import { StoredRows } from './stored-rows.js'
import type { TensorReader } from './tensor-reader.js'

/*
 * A Linear as a checkpoint stores it: a float weight, or, in the compressed-tensors layout, an int8 weight [N, K] with
 * `weight_scale` [N, 1] or [1]; with or without a bias.
 */

/** Whether the checkpoint holds this Linear as int8. */
export function isStoredInt8(checkpoint: Checkpoint, spec: LinearSpec): boolean {
  return checkpoint.dtype(spec.weight) === 'I8'
}

/** The tensors of the Linear. */
export function tensorsOf(checkpoint: Checkpoint, spec: LinearSpec): string[] {
  return [
    spec.weight,
    ...(isStoredInt8(checkpoint, spec) ? [scaleOf(spec)] : []),
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
    if (!(error instanceof ArgumentError)) throw error
    const file = reader.checkpoint.fileOf(spec.weight)
    throw new FormatError(file, `${spec.name}: ${error.message}`, { cause: error })
  } finally {
    rows?.release()
  }
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
  const isInt8 = isStoredInt8(reader.checkpoint, spec)
  const scale = isInt8 ? await readScale(reader, spec) : undefined
  const bias = await readBias(reader, spec)
  const dims = [spec.outFeatures, spec.inFeatures] as const
  return FloatLinear.fromDense(
    pool,
    await readDense(pool, reader, spec.weight, dims, { scale, bias }),
  )
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

function biasOf(spec: LinearSpec): string {
  return `${spec.name}.bias`
}

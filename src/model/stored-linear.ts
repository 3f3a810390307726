import { ArgumentError, FormatError } from '../errors.js'
import { Linear } from '../ops/linear.js'
import type { Pool } from '../pool/pool.js'
import { Tensor } from '../tensor.js'
import type { Checkpoint } from './checkpoint.js'
import { FloatProjection } from './float-projection.js'
import type { LinearSpec } from './parameters.js'
import type { TensorReader } from './tensor-reader.js'
import { dequantize, widenBf16 } from './widen.js'

/*
 * A Linear as a checkpoint stores it: a float weight, or, in the compressed-tensors layout, an int8
 * weight [N, K] with `weight_scale` [N, 1] or [1]; with or without a bias.
 */

export interface StoredLinear {
  readonly spec: LinearSpec
  readonly weight: Tensor
  /** float32 [N]; undefined beside a float weight. */
  readonly scale: Float32Array | undefined
  /** float32 [N] */
  readonly bias: Float32Array | undefined
}

/** Whether the checkpoint holds this Linear as int8. */
export function isStoredInt8(checkpoint: Checkpoint, spec: LinearSpec): boolean {
  return checkpoint.dtype(spec.weight) === 'I8'
}

/** The tensors that {@link readLinear} reads. */
export function tensorsOf(checkpoint: Checkpoint, spec: LinearSpec): string[] {
  return [
    spec.weight,
    ...(isStoredInt8(checkpoint, spec) ? [scaleOf(spec)] : []),
    ...(spec.bias ? [biasOf(spec)] : []),
  ]
}

/** @throws FormatError if a tensor is missing, or not of the shape or dtype it should have */
export async function readLinear(reader: TensorReader, spec: LinearSpec): Promise<StoredLinear> {
  const { outFeatures: N, inFeatures: K } = spec
  const weight = await readWeight(reader, spec.weight, [N, K])
  const scale = weight.type === 'int8' ? await readScale(reader, spec) : undefined
  const bias = spec.bias ? await reader.readFloat(biasOf(spec), [N]) : undefined
  return { spec, weight, scale, bias }
}

/** BF16 stays as it is, because it can be quantised so; F16 is widened. */
async function readWeight(reader: TensorReader, name: string, dims: number[]): Promise<Tensor> {
  const { checkpoint } = reader
  const dtype = checkpoint.dtype(name)
  if (dtype === 'F16') return new Tensor('float32', await reader.readFloat(name, dims), dims)
  if (['F32', 'BF16', 'I8'].includes(dtype)) return await reader.read(name, dims)
  const problem = `tensor ${name}: ${dtype} is none of F32, BF16, F16, I8`
  throw new FormatError(checkpoint.fileOf(name), problem)
}

async function readScale(reader: TensorReader, spec: LinearSpec): Promise<Float32Array> {
  const name = scaleOf(spec)
  const N = spec.outFeatures
  const perTensor = reader.checkpoint.entry(name).dims.length === 1
  const values = await reader.readFloat(name, perTensor ? [1] : [N, 1])
  return perTensor ? new Float32Array(N).fill(values[0]) : values
}

/** In float32, on this thread. */
export async function toFloatProjection(
  { spec, weight, scale, bias }: StoredLinear,
  signal?: AbortSignal,
): Promise<FloatProjection> {
  const { data } = weight
  const { inFeatures } = spec
  if (data instanceof Float32Array) return new FloatProjection(data, inFeatures, bias)
  const wide =
    data instanceof Uint16Array
      ? await widenBf16(data, signal)
      : await dequantize(data as Int8Array, scale as Float32Array, signal)
  return new FloatProjection(wide, inFeatures, bias)
}

/**
 * In int8, on the pool. A float weight is quantised.
 *
 * @throws FormatError if the checkpoint's numbers cannot be used, such as a NaN; what the pool throws
 */
export async function toLinear(
  pool: Pool,
  file: string,
  { spec, weight, scale, bias }: StoredLinear,
  signal?: AbortSignal,
): Promise<Linear> {
  const { inFeatures, outFeatures } = spec
  const options = { inFeatures, outFeatures, bias, signal }
  try {
    return scale === undefined
      ? await Linear.fromFloat(pool, weight as Tensor<'float32'> | Tensor<'bfloat16'>, options)
      : await Linear.fromInt8(pool, weight.data as Int8Array, scale, options)
  } catch (error) {
    if (!(error instanceof ArgumentError) || error.argument === 'pool') throw error
    throw new FormatError(file, `${spec.name}: ${error.message}`, { cause: error })
  }
}

function scaleOf(spec: LinearSpec): string {
  return `${spec.weight}_scale`
}

function biasOf(spec: LinearSpec): string {
  return `${spec.name}.bias`
}

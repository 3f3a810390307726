import { checkPath } from '../errors.js'
import type { DenseWeight } from '../ops/dense-weight.js'
import { FloatLinear } from '../ops/float-linear.js'
import { Linear } from '../ops/linear.js'
import { checkOptions } from '../options.js'
import { int4Strides } from '../reference/int4.js'
import { Checkpoint } from './checkpoint/checkpoint.js'
import { type SaveOptions, saveCheckpoint, saveOptions } from './checkpoint/save.js'
import { storedFormat, weightTensors } from './checkpoint/stored-format.js'
import { toLinear } from './checkpoint/stored-linear.js'
import { TensorReader } from './checkpoint/tensor-reader.js'
import { storedTensor, type TensorSource } from './checkpoint/tensor-source.js'
import type { ModelConfig } from './config/config.js'
import { EMBEDDING, type LinearSpec, linearSpecs } from './config/parameters.js'
import type { ModelLinear } from './decoder/model-linear.js'
import type { Network } from './decoder/network.js'
import { isPacked } from './packed/packed-file.js'

/** Unpacked at a time, bytes. */
const CHUNK = 8 << 20

/** What is saved of a model. */
export interface SavedParts {
  /** The checkpoint that it came from. */
  readonly folder: string
  readonly config: ModelConfig
  /** Its Linears, by name. */
  readonly linears: ReadonlyMap<string, ModelLinear>
  /** @internal */
  readonly decoder: { readonly network: Network }
}

/**
 * Writes a model as a W8A8 checkpoint, or a W4A8 one if it has 4-bit Linears: its quantised Linears as they are,
 * everything else as the checkpoint that it came from has it. A tied head stays so, for loading quantises it as it was;
 * if it was rounded in another way, it is written beside the embedding, and tied no more.
 *
 * @throws as `Model.save`
 */
export async function saveModel(
  model: SavedParts,
  folder: string,
  given: SaveOptions,
): Promise<void> {
  checkPath('folder', folder)
  const options = checkOptions(given, saveOptions)
  if (await isPacked(model.folder)) return await savePacked(model, folder, options)
  await using source = await Checkpoint.open(model.folder)
  const tensors: TensorSource[] = []
  const replaced = new Set<string>()
  const ignore: string[] = []
  const bits = new Map<string, number>()
  const config: Record<string, unknown> = {}
  for (const spec of linearSpecs(model.config).values()) {
    const linear = model.linears.get(spec.name)
    const isTied = spec.weight === EMBEDDING
    const stored = storedFormat(source, spec)
    const name = `${spec.name}.weight`
    const replace = (...replacing: TensorSource[]) => {
      tensors.push(...replacing)
      for (const tensor of isTied ? [name] : weightTensors(source, spec)) replaced.add(tensor)
    }
    if (
      linear instanceof Linear &&
      !(isTied && (await isAsLoaded(linear, source, spec, options)))
    ) {
      const isInt4 = linear.weightType === 'int4'
      replace(...(isInt4 ? int4Tensors : int8Tensors)(name, linear))
      if (isTied) config.tie_word_embeddings = false
      bits.set(spec.name, isInt4 ? 4 : 8)
    } else if (stored !== 'int8') {
      ignore.push(spec.name)
      // a checkpoint of another scheme cannot have it as it is
      if (stored !== 'float' && linear instanceof FloatLinear) {
        replace(matrixTensor(name, linear.weight))
      }
    }
  }
  if (config.tie_word_embeddings === false) {
    // it may be stored by the head's name
    tensors.push(storedTensor(source, EMBEDDING, options.signal))
    replaced.add(EMBEDDING)
  }
  for (const name of source.names) {
    if (!replaced.has(name)) tensors.push(storedTensor(source, name, options.signal))
  }
  const content = { source: model.folder, config, ignore, tensors }
  const isW4A8 = [...bits.values()].includes(4)
  await saveCheckpoint(folder, { ...content, bits: isW4A8 ? bits : undefined }, options)
}

/** The same of a model that was packed: no checkpoint is needed, for all of it is in memory, floats as they run. */
async function savePacked(model: SavedParts, folder: string, options: SaveOptions): Promise<void> {
  const { embedding, norms } = model.decoder.network
  const tensors: TensorSource[] = denseTensors(EMBEDDING, embedding)
  const ignore: string[] = []
  const bits = new Map<string, number>()
  let isTied = false
  for (const [name, norm] of norms) {
    tensors.push(floatTensor(`${name}.weight`, norm))
  }
  for (const [name, linear] of model.linears) {
    const weight = `${name}.weight`
    if (linear instanceof Linear) {
      const isInt4 = linear.weightType === 'int4'
      const { bias } = linear.weight
      tensors.push(...(isInt4 ? int4Tensors : int8Tensors)(weight, linear))
      if (bias !== undefined) {
        tensors.push(floatTensor(`${name}.bias`, bias.subarray(0, linear.outFeatures)))
      }
      bits.set(name, isInt4 ? 4 : 8)
    } else {
      ignore.push(name)
      isTied ||= linear.weight === embedding
      if (linear.weight !== embedding) tensors.push(...denseTensors(weight, linear.weight))
    }
  }
  const isW4A8 = [...bits.values()].includes(4)
  const content = {
    source: model.folder,
    config: { tie_word_embeddings: isTied },
    ...{ ignore, tensors, bits: isW4A8 ? bits : undefined },
  }
  await saveCheckpoint(folder, content, options)
}

/** A float weight [N, K] `<name>.weight`, and its bias. */
function denseTensors(name: string, weight: DenseWeight): TensorSource[] {
  const { bias } = weight
  const tensors = [matrixTensor(name, weight)]
  if (bias !== undefined) tensors.push(floatTensor(name.replace(/weight$/, 'bias'), bias))
  return tensors
}

/** A weight [N, K] of floats. */
function matrixTensor(name: string, weight: DenseWeight): TensorSource {
  const { inFeatures: K, outFeatures: N, type } = weight
  function* chunks() {
    for (const [first, last] of rowsAtATime(N, K)) yield bytesOf(weight.read(first, last))
  }
  return { name, dtype: type === 'float32' ? 'F32' : 'BF16', dims: [N, K], chunks }
}

function floatTensor(name: string, values: Float32Array): TensorSource {
  return { name, dtype: 'F32', dims: [values.length], chunks: () => [bytesOf(values.slice())] }
}

/** Whether a Linear is what loading makes of its float weight. */
async function isAsLoaded(
  linear: Linear,
  source: Checkpoint,
  spec: LinearSpec,
  { signal }: SaveOptions,
): Promise<boolean> {
  const reader = new TensorReader(source, [spec.weight], { signal })
  using loaded = await toLinear(linear.pool, reader, spec, linear.outliers)
  const isEqual = (a: ArrayBufferView, b: ArrayBufferView) =>
    Buffer.compare(bytesOf(a), bytesOf(b)) === 0
  return isEqual(loaded.scale, linear.scale) && isEqual(loaded.tiles, linear.tiles)
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Nibbles [N, ceil(K / 2)], multipliers [N, ceil(K / 32)] and scales [N, 1] of a 4-bit weight. */
function int4Tensors(name: string, linear: Linear): TensorSource[] {
  const { inFeatures: K, outFeatures: N, scale } = linear
  const stride = int4Strides(K)
  function* chunks(part: 'nibbles' | 'multipliers') {
    for (const [first, last] of rowsAtATime(N, K))
      yield bytesOf(linear.unpackInt4(first, last)[part])
  }
  return [
    { name, dtype: 'U8', dims: [N, stride.nibbles], chunks: () => chunks('nibbles') },
    {
      name: `${name}_multiplier`,
      dtype: 'I8',
      dims: [N, stride.multipliers],
      chunks: () => chunks('multipliers'),
    },
    scaleTensor(name, scale),
  ]
}

/** The rows [first, last) that are unpacked together, one chunk after the other. */
function* rowsAtATime(N: number, K: number): Generator<[first: number, last: number]> {
  const rows = Math.max(1, Math.floor(CHUNK / K))
  for (let first = 0; first < N; first += rows) yield [first, Math.min(first + rows, N)]
}

function scaleTensor(name: string, scale: Float32Array): TensorSource {
  return { ...floatTensor(`${name}_scale`, scale), dims: [scale.length, 1] }
}

/** A weight [N, K] and its scales [N, 1]. */
function int8Tensors(name: string, linear: Linear): TensorSource[] {
  const { inFeatures: K, outFeatures: N, scale } = linear
  function* chunks() {
    for (const [first, last] of rowsAtATime(N, K)) yield bytesOf(linear.unpack(first, last))
  }
  return [{ name, dtype: 'I8', dims: [N, K], chunks }, scaleTensor(name, scale)]
}

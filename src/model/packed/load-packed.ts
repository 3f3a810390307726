import { ArgumentError, describe, FormatError } from '../../errors.js'
import { DenseWeight } from '../../ops/dense-weight.js'
import { FloatLinear } from '../../ops/float-linear.js'
import { Linear } from '../../ops/linear.js'
import type { Pool } from '../../pool/pool.js'
import { checkHead } from '../config/linear-format.js'
import { HEAD, type LinearSpec, linearSpecs } from '../config/parameters.js'
import { quantizations } from '../config/quantization-config.js'
import { skipMatcher } from '../config/skip.js'
import { defaultOutliers, type ModelLinear } from '../decoder/model-linear.js'
import type { Network } from '../decoder/network.js'
import { type LoadOptions, type ModelParts, planRun } from '../load.js'
import { Texts } from '../text/texts.js'
import { textSourceOf } from '../text/thread/text-source.js'
import {
  isWeight,
  type PackedDense,
  type PackedHeader,
  type PackedLinear,
  quantizationOf,
} from './header.js'
import { PackedArrays } from './packed-arrays.js'
import { PackedFile } from './packed-file.js'

/**
 * Loads a packed model: maps it, where the pool's workers see such memory.
 *
 * @throws as `Model.load`
 */
export async function loadPacked(
  pool: Pool,
  file: string,
  options: LoadOptions,
): Promise<ModelParts> {
  await using packed = await PackedFile.open(file)
  const { header } = packed
  checkFormats(file, header, options)
  const settings = planRun(header.config, quantizationOf(header.linears.values()), options)
  if (options.verify) await packed.verify(options)
  options.signal?.throwIfAborted()
  const arrays = new PackedArrays(pool, packed, options)
  try {
    const network = await toNetwork(pool, file, header, arrays, settings.outliers)
    const source = textSourceOf(file, await packed.texts())
    const texts = await Texts.parsed(source, await packed.textContents())
    texts.endWith(pool)
    const { byteLength } = packed
    options.onProgress?.(byteLength, byteLength)
    return { pool, network, ...settings, folder: file, texts, isMapped: arrays.isMapped }
  } catch (error) {
    pool.memory.discard(Infinity)
    throw error
  }
}

/**
 * Refuses options for other weights than those that are packed.
 *
 * @throws ArgumentError
 */
export function checkFormats(
  file: string,
  { linears }: PackedHeader,
  { quantize, head, skip }: LoadOptions,
): void {
  const packed = quantizationOf(linears.values())
  if (quantize !== undefined && !quantizations.includes(quantize)) {
    throw new ArgumentError('quantize', `one of ${quantizations.join(', ')}`, describe(quantize))
  }
  if (quantize !== undefined && quantize !== packed) {
    const expected = `'${packed}', as ${file} is packed; pack the checkpoint anew for another`
    throw new ArgumentError('quantize', expected, describe(quantize))
  }
  checkHead(head, packed)
  const packedHead = linears.get(HEAD)?.type
  if (head !== undefined && head !== packedHead) {
    const expected = `'${packedHead}', as ${file} is packed; pack the checkpoint anew for another`
    throw new ArgumentError('head', expected, describe(head))
  }
  if (skip === undefined || packed === 'none') return
  const skipped = skipMatcher(skip, [...linears.keys()])
  for (const [name, linear] of linears) {
    if (isWeight(linear) !== (skipped(name) !== undefined)) continue
    const floats = [...linears].flatMap(([other, it]) => (isWeight(it) ? [] : [other]))
    const all = floats.length === 0 ? 'no Linear' : floats.join(', ')
    const expected = `${all}, as ${file} is packed; pack the checkpoint anew for others`
    throw new ArgumentError('skip', expected, skip.join(', '))
  }
}

async function toNetwork(
  pool: Pool,
  file: string,
  header: PackedHeader,
  arrays: PackedArrays,
  outliers: number | undefined,
): Promise<Network> {
  const { config } = header
  const specs = linearSpecs(config)
  const vocabulary = { outFeatures: config.vocabSize, inFeatures: config.hiddenSize }
  const embedding = await toDense(pool, arrays, header.embedding, vocabulary)
  const norms = new Map<string, Float32Array>()
  for (const [name, span] of header.norms) {
    norms.set(name, (await arrays.get('float32', span)).array)
  }
  const linears = new Map<string, ModelLinear>()
  for (const [name, packed] of header.linears) {
    const spec = specs.get(name) as LinearSpec
    linears.set(name, await toModelLinear(pool, file, spec, packed, arrays, embedding, outliers))
  }
  return { config, embedding, norms, linears }
}

async function toDense(
  pool: Pool,
  arrays: PackedArrays,
  { type, data, bias }: PackedDense,
  { outFeatures, inFeatures }: Pick<LinearSpec, 'outFeatures' | 'inFeatures'>,
): Promise<DenseWeight> {
  const biases = bias && (await arrays.get('float32', bias))
  const placed = await arrays.get(type, data)
  return new DenseWeight(pool, type, outFeatures, inFeatures, biases?.array, placed)
}

async function toModelLinear(
  pool: Pool,
  file: string,
  spec: LinearSpec,
  packed: PackedLinear,
  arrays: PackedArrays,
  embedding: DenseWeight,
  outliers = defaultOutliers(spec.inFeatures),
): Promise<ModelLinear> {
  if (packed.type === 'embedding') return FloatLinear.fromDense(pool, embedding)
  if (!isWeight(packed))
    return FloatLinear.fromDense(pool, await toDense(pool, arrays, packed, spec))
  const weights = {
    tiles: await arrays.get('int8', packed.tiles),
    colSum: await arrays.get('int32', packed.colSum),
    scale: await arrays.get('float32', packed.scale),
    bias: packed.bias && (await arrays.get('float32', packed.bias)),
  }
  const { inFeatures, outFeatures } = spec
  try {
    return Linear.fromPacked(pool, { inFeatures, outFeatures, outliers }, packed.type, weights)
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error
    throw new FormatError(file, `${spec.name}: ${error.message}`, { cause: error })
  }
}

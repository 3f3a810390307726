import { checkPath } from '../errors.js'
import { Linear } from '../ops/linear.js'
import { unpackTiles } from '../ops/pack.js'
import { checkOptions } from '../options.js'
import { Checkpoint } from './checkpoint/checkpoint.js'
import { type SaveOptions, saveCheckpoint, saveOptions } from './checkpoint/save.js'
import { isStoredInt8 } from './checkpoint/stored-linear.js'
import { storedTensor, type TensorSource } from './checkpoint/tensor-source.js'
import { EMBEDDING, linearSpecs } from './config/parameters.js'
import type { Model } from './model.js'

/** Unpacked at a time, bytes. */
const CHUNK = 8 << 20

/**
 * Writes a model as a W8A8 checkpoint: its int8 Linears as they are, everything else as the checkpoint
 * that it came from has it. A tied head stays so: the layout has no place for an int8 one.
 *
 * @throws as {@link Model.save}
 */
export async function saveModel(model: Model, folder: string, given: SaveOptions): Promise<void> {
  checkPath('folder', folder)
  const options = checkOptions(given, saveOptions)
  await using source = await Checkpoint.open(model.folder)
  const tensors: TensorSource[] = []
  const replaced = new Set<string>()
  const ignore: string[] = []
  for (const spec of linearSpecs(model.config).values()) {
    const linear = model.projections.get(spec.name)
    if (linear instanceof Linear && spec.weight !== EMBEDDING) {
      tensors.push(...int8Tensors(spec.weight, linear))
      replaced.add(spec.weight).add(`${spec.weight}_scale`)
    } else if (!isStoredInt8(source, spec)) {
      ignore.push(spec.name)
    }
  }
  for (const name of source.names) {
    if (!replaced.has(name)) tensors.push(storedTensor(source, name, options.signal))
  }
  await saveCheckpoint(folder, { source: model.folder, ignore, tensors }, options)
}

/** A weight [N, K] and its scales [N, 1]. */
function int8Tensors(name: string, linear: Linear): TensorSource[] {
  const { inFeatures: K, outFeatures: N, tiles, scale } = linear
  const rows = Math.max(1, Math.floor(CHUNK / K))
  function* chunks() {
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const q = unpackTiles(tiles, K, first, last)
      yield new Uint8Array(q.buffer, q.byteOffset, q.byteLength)
    }
  }
  const scales = () => [new Uint8Array(scale.slice().buffer)]
  return [
    { name, dtype: 'I8', dims: [N, K], chunks },
    { name: `${name}_scale`, dtype: 'F32', dims: [N, 1], chunks: scales },
  ]
}

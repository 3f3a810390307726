import type { Pool } from 'dotpool'
import { expect } from 'vitest'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { TensorReader } from '#src/model/checkpoint/tensor-reader.js'
import { GroupedFloats } from '#src/model/grouped/grouped-weight.js'
import { openGrouped } from '#src/model/grouped/open.js'
import type { Model } from '#src/model/model.js'
import { expectSameBits } from '../../support/reference.js'
import { type MadeCheckpoint, randomCheckpoint } from '../random-checkpoint.js'
import {
  f32,
  loadMade,
  type StoredTensor,
  temporaryFolder,
  tinyConfig,
  writeCheckpoint,
} from '../support.js'
import { floatsOfMade, type MadeWeight, makeWeight, type WeightKind } from './made-weight.js'

/** Expects that a checkpoint of one packed Linear gives the floats of a weight. */
export async function expectUnpacked(
  quantization_config: object,
  tensors: Record<string, StoredTensor>,
  weight: MadeWeight,
): Promise<void> {
  const { N, K } = weight
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, { ...tinyConfig, quantization_config }, tensors)
  await using checkpoint = await Checkpoint.open(folder.path)
  let progress: [number, number] = [0, 1]
  const onProgress = (...now: [number, number]) => {
    progress = now
  }
  const reader = new TensorReader(checkpoint, Object.keys(tensors), { onProgress })
  const spec = { name: 'x', weight: 'x.weight', inFeatures: K, outFeatures: N, bias: false }
  const grouped = await openGrouped(reader, spec)
  if (grouped === undefined) expect.fail('not packed')
  const floats = new GroupedFloats(grouped)
  const middle = Math.floor(N / 2)
  const all = new Float32Array(N * K)
  all.set(await floats.read(0, middle))
  all.set(await floats.read(middle, N), middle * K)
  expectSameBits(all, floatsOfMade(weight), 'w')
  expect(progress[0]).toBe(progress[1])
}

/** Sizes that all formats pack. */
const sizes = {
  hidden_size: 64,
  intermediate_size: 96,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  num_hidden_layers: 1,
}

/** A checkpoint whose Linears but the head another tool packed, and the same in float32. */
export function packedCheckpoint(
  quantization_config: object,
  kind: WeightKind,
  pack: (name: string, weight: MadeWeight) => Record<string, StoredTensor>,
): { packed: MadeCheckpoint; float: MadeCheckpoint } {
  const float = randomCheckpoint('LlamaForCausalLM', sizes)
  const packed: MadeCheckpoint = { config: { ...float.config, quantization_config }, tensors: {} }
  let seed = kind.seed
  for (const [name, tensor] of Object.entries(float.tensors)) {
    if (!name.endsWith('_proj.weight')) {
      packed.tensors[name] = tensor
      continue
    }
    const [N, K] = tensor.shape
    const weight = makeWeight(N, K, { ...kind, seed: seed++ })
    Object.assign(packed.tensors, pack(name.replace(/\.weight$/, ''), weight))
    float.tensors[name] = f32([N, K], floatsOfMade(weight))
  }
  return { packed, float }
}

export const load = (
  pool: Pool,
  { config, tensors }: MadeCheckpoint,
  options: Parameters<typeof loadMade>[3] = {},
): Promise<Model> => loadMade(pool, config, tensors, options)

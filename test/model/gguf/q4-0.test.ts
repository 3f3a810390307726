import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Linear, Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LoadOptions } from '#src/model/load.js'
import { gguf } from '../../support/gguf.js'
import { expectSameBits } from '../../support/reference.js'
import {
  floatsOfMade,
  halves,
  type MadeWeight,
  makeWeight,
  type WeightKind,
} from '../grouped/made-weight.js'
import { type MadeCheckpoint, randomCheckpoint } from '../random-checkpoint.js'
import {
  f32,
  loadMade,
  logitsOf,
  relativeError,
  type StoredTensor,
  temporaryFolder,
} from '../support.js'
import { toGguf } from './make.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const ids = Array.from({ length: 40 }, (_, i) => (i * 7) % 53)

const sizes = {
  hidden_size: 64,
  intermediate_size: 96,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
}

/** The blocks of Q4_0: a float16 scale, then 16 bytes whose low nibbles are the first 16 weights. */
function blocksOf({ N, K, groups, u, scales }: MadeWeight): StoredTensor {
  const bits = new Uint16Array(halves('F16', scales).data.slice().buffer)
  const bytes: number[] = []
  for (let n = 0; n < N; n++) {
    for (let g = 0; g < groups; g++) {
      const half = bits[n * groups + g]
      bytes.push(half & 255, half >> 8)
      for (let j = 0; j < 16; j++) bytes.push(u[n][g * 32 + j] + 16 * u[n][g * 32 + j + 16])
    }
  }
  return { dtype: 'Q4_0', shape: [N, K], data: Uint8Array.from(bytes) }
}

/** A GGUF file whose Linears are in Q4_0, and a checkpoint of its floats. */
function made(architecture: string, kind: Partial<WeightKind>): [Buffer, MadeCheckpoint] {
  const headNorms = architecture === 'Qwen3ForCausalLM'
  const float = randomCheckpoint(architecture, sizes, { headNorms })
  const tensors = { ...float.tensors }
  let seed = 1
  for (const [name, { shape }] of Object.entries(float.tensors)) {
    if (!name.endsWith('_proj.weight')) continue
    const options = { size: 32, symmetric: true, signed: true, dtype: 'F16', ...kind } as const
    const weight = makeWeight(shape[0], shape[1], { ...options, seed: seed++ })
    tensors[name] = blocksOf(weight)
    float.tensors[name] = f32(shape, floatsOfMade(weight))
  }
  const file = toGguf({ config: float.config, tensors })
  return [gguf(file.fields, file.tensors), float]
}

async function loadFile(file: Buffer, options: LoadOptions): Promise<Model> {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'model.gguf')
  await writeFile(path, file)
  return await Model.load(pool, path, options)
}

describe('Q4_0 under w4a8', () => {
  // only Llama's files permute rows of q and k
  it.each(['LlamaForCausalLM', 'Qwen3ForCausalLM'])(
    'keeps its nibbles, and is exact where scales are multiples of one: %s',
    async (architecture) => {
      const [file, float] = made(architecture, { multiples: true })
      let progress: [number, number] = [0, 1]
      const onProgress = (...now: [number, number]) => {
        progress = now
      }
      using model = await loadFile(file, { quantize: 'w4a8', onProgress })
      expect(progress[0]).toBe(progress[1])
      let int4 = 0
      for (const [name, linear] of model.linears) {
        if (!(linear instanceof Linear) || linear.weightType !== 'int4') continue
        const { inFeatures: K, scale } = linear
        const floats = Float32Array.from(linear.unpack(), (q, i) => q * scale[Math.floor(i / K)])
        const expected = new Float32Array(float.tensors[`${name}.weight`].data.slice().buffer)
        // a level of 0 with a negative multiplier is -0 in one of them
        expectSameBits(floats.map(positive), expected.map(positive), name)
        int4++
      }
      expect(int4).toBe(11)
    },
  )

  it('is near its floats with any scales, and by default as exact as they', async () => {
    const [file, { config, tensors }] = made('LlamaForCausalLM', {})
    using exact = await loadMade(pool, config, tensors, { quantize: 'none' })
    const expected = await logitsOf(exact, ids)
    using int4 = await loadFile(file, { quantize: 'w4a8' })
    expect(relativeError(await logitsOf(int4, ids), expected)).toBeLessThan(0.2)
    using float = await loadFile(file, {})
    expectSameBits(await logitsOf(float, ids), expected)
  })
})

const positive = (value: number) => value + 0

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Safetensors } from '#src/model/checkpoint/safetensors.js'
import { synthesizeGguf } from '../../dist/bench/models/gguf.js'
import { synthesize } from '../../dist/bench/models/huggingface.js'
import {
  kvCount,
  type ModelShape,
  modelShapes,
  weightCount,
} from '../../dist/bench/models/shapes.js'
import { tensorsOf } from '../../dist/bench/models/tensors.js'
import { bf16ToFloat32 } from '../../dist/src/index.js'
import { temporaryFolder } from '../model/support.js'
import { readGguf } from './gguf.js'

const small: fc.Arbitrary<ModelShape> = fc.record({
  name: fc.constant('small'),
  architecture: fc.constantFrom('Qwen3ForCausalLM', 'LlamaForCausalLM'),
  vocabSize: fc.integer({ min: 256, max: 300 }),
  hiddenSize: fc.constantFrom(32, 64),
  intermediateSize: fc.constantFrom(32, 96),
  layers: fc.integer({ min: 1, max: 2 }),
  heads: fc.constantFrom(2, 4),
  kvHeads: fc.constantFrom(1, 2),
  headDim: fc.constantFrom(16, 32),
  maxPositions: fc.constant(64),
  rmsNormEps: fc.constant(1e-6),
  ropeTheta: fc.constant(1e4),
  bosTokenId: fc.constant(0),
  eosTokenId: fc.constant(1),
})

it('both formats hold the same model', async () => {
  await using folder = await temporaryFolder()
  let run = 0
  await fc.assert(
    fc.asyncProperty(small, fc.nat(), async (shape, seed) => {
      const place = join(folder.path, String(run++))
      await synthesize(shape, place, { seed })
      await synthesizeGguf(shape, join(place, 'model.gguf'), { seed })
      await using tensors = await Safetensors.open(join(place, 'model.safetensors'))
      const gguf = readGguf(await readFile(join(place, 'model.gguf')))
      expect(gguf.size).toBe(tensorsOf(shape).length)
      for (const { name, ggufName, kind, rotated } of tensorsOf(shape)) {
        const stored = await tensors.read(`${name}.weight`)
        const scales = kind === 'linear' ? (await tensors.read(`${name}.weight_scale`)).data : [1]
        const values =
          stored.type === 'bfloat16'
            ? bf16ToFloat32(stored.data as Uint16Array)
            : Float32Array.from(stored.data, (value) => value * scales[0])
        const columns = stored.dims[stored.dims.length - 1]
        const turned = rotated && shape.architecture === 'LlamaForCausalLM'
        expect(gguf.get(`${ggufName}.weight`), name).toEqual(
          turned ? pairNeighbours(values, shape.headDim, columns) : values,
        )
      }
    }),
    { numRuns: 8 },
  )
})

it('writes the same bytes for the same seed only, and counts them', async () => {
  await using folder = await temporaryFolder()
  const [shape] = fc.sample(small, { numRuns: 1, seed: 1 })
  const write = async (seed: number, name: string) => {
    const place = join(folder.path, name)
    let counted = [0, 0]
    await synthesize(shape, place, { seed, onProgress: (...progress) => (counted = progress) })
    const bytes = await readFile(join(place, 'model.safetensors'))
    expect(counted).toEqual([bytes.length, bytes.length])
    return bytes
  }
  const first = await write(1, 'first')
  expect((await write(1, 'again')).equals(first)).toBe(true)
  expect((await write(2, 'other')).equals(first)).toBe(false)
})

it('knows the size of the published models', () => {
  const sizes = modelShapes.map((shape) => [shape.name, weightCount(shape), kvCount(shape)])
  expect(sizes).toEqual([
    ['Qwen3-0.6B', 595_984_384, 57_344],
    ['Qwen3-1.7B', 1_720_451_072, 57_344],
    ['Llama-3.2-1B', 1_235_746_816, 16_384],
  ])
})

/** Rows i and i + D/2 of each head become rows 2i and 2i + 1. */
function pairNeighbours(values: Float32Array, headDim: number, columns: number): Float32Array {
  const out = new Float32Array(values.length)
  for (let head = 0; head < values.length / columns; head += headDim) {
    for (let i = 0; i < headDim / 2; i++) {
      for (const half of [0, 1]) {
        const from = (head + i + (half * headDim) / 2) * columns
        out.set(values.subarray(from, from + columns), (head + 2 * i + half) * columns)
      }
    }
  }
  return out
}

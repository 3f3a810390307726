import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Safetensors } from '#src/model/checkpoint/safetensors.js'
import { weightBytes } from '../../dist/bench/models/bits.js'
import { synthesizeGguf } from '../../dist/bench/models/gguf.js'
import { synthesize } from '../../dist/bench/models/huggingface.js'
import {
  kvCount,
  type ModelShape,
  modelShapes,
  weightCount,
} from '../../dist/bench/models/shapes.js'
import { tensorsOf } from '../../dist/bench/models/tensors.js'
import { bf16ToFloat32, Checkpoint, type Int4Weight } from '../../dist/src/index.js'
import { decodeInt4 } from '../../dist/src/reference/int4.js'
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

it('both formats of 8 bits hold the same model', async () => {
  await using folder = await temporaryFolder()
  let run = 0
  await fc.assert(
    fc.asyncProperty(small, fc.nat(), async (shape, seed) => {
      const place = join(folder.path, String(run++))
      await synthesize(shape, place, 'w8a8', { seed, bits: 8 })
      await synthesizeGguf(shape, join(place, 'model.gguf'), 'q8_0', { seed, bits: 8 })
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
        const expected = turned ? pairNeighbours(values, shape.headDim, columns) : values
        expectSame(gguf.get(`${ggufName}.weight`) as Float32Array, expected, name)
      }
    }),
    { numRuns: 8 },
  )
})

describe.each(['Qwen3ForCausalLM', 'LlamaForCausalLM'] as const)(
  'a model of 4 bits, %s',
  (architecture) => {
    const shape: ModelShape = {
      ...{ name: 'small', architecture, vocabSize: 260, hiddenSize: 256, intermediateSize: 512 },
      ...{ layers: 4, heads: 4, kvHeads: 2, headDim: 64, maxPositions: 64, rmsNormEps: 1e-6 },
      ...{ ropeTheta: 1e4, bosTokenId: 0, eosTokenId: 1 },
    }
    const options = { seed: 3, bits: 4 } as const

    it.each(['q4_0', 'q4_k_m'] as const)(
      'is the same in W8A8, in W4A8 and in %s',
      async (format) => {
        await using folder = await temporaryFolder()
        const [w8a8, w4a8] = [join(folder.path, 'w8a8'), join(folder.path, 'w4a8')]
        const file = join(folder.path, 'model.gguf')
        await synthesize(shape, w8a8, 'w8a8', options)
        await synthesize(shape, w4a8, 'w4a8', options)
        await synthesizeGguf(shape, file, format, options)
        await using int8 = await Checkpoint.open(w8a8)
        await using int4 = await Checkpoint.open(w4a8)
        await using gguf = await Checkpoint.open(file)
        for (const { name, kind, rows, columns } of tensorsOf(shape)) {
          const weight = `${name}.weight`
          const dims = kind === 'norm' ? [columns] : [rows, columns]
          const stored = await gguf.readFloat(weight, dims)
          if (kind !== 'linear') {
            expectSame(await int8.readFloat(weight, dims), stored, name)
            expectSame(await int4.readFloat(weight, dims), stored, name)
            continue
          }
          const values = (await int8.read(weight, dims)).data as Int8Array
          const [scale] = await int8.readFloat(`${weight}_scale`, [rows, 1])
          const floats = Float32Array.from(values, (value) => value * scale)
          expectSame(floats, stored, name)
          expect((await int4.readFloat(`${weight}_scale`, [rows, 1]))[0]).toBe(scale)
          if (int4.dtype(weight) === 'I8') {
            expectSame((await int4.read(weight, dims)).data, values, name)
            continue
          }
          const nibbles = new Uint8Array((rows * columns) / 2)
          await int4.readRows(weight, 0, rows, nibbles)
          const multipliers = (await int4.read(`${weight}_multiplier`, [rows, columns / 32])).data
          const packed = { nibbles, multipliers } as Int4Weight
          expectSame(decodeInt4(packed, { inFeatures: columns, outFeatures: rows }), values, name)
        }
        const isPacked = (name: string) => int4.dtype(`${name}.weight`) === 'U8'
        expect(isPacked('model.layers.0.mlp.up_proj')).toBe(true)
        expect(isPacked('model.layers.0.self_attn.v_proj')).toBe(false)
      },
    )

    it('takes the bytes that are counted', async () => {
      await using folder = await temporaryFolder()
      await synthesize(shape, folder.path, 'w4a8', options)
      await using checkpoint = await Checkpoint.open(folder.path)
      const bytes = tensorsOf(shape)
        .filter(({ kind }) => kind === 'linear')
        .flatMap(({ name }) => [`${name}.weight`, `${name}.weight_multiplier`])
        .filter((name) => checkpoint.names.includes(name))
        .reduce((sum, name) => sum + checkpoint.entry(name).byteLength, 0)
      const head = shape.vocabSize * shape.hiddenSize
      expect(weightBytes(shape, 4, 8)).toBe(bytes + head)
      expect(weightBytes(shape, 4, 4)).toBe(bytes + (head * 17) / 32)
      expect(weightBytes(shape, 8, 8)).toBe(weightCount(shape))
    })
  },
)

it('writes the same bytes for the same seed only, and counts them', async () => {
  await using folder = await temporaryFolder()
  const [shape] = fc.sample(small, { numRuns: 1, seed: 1 })
  const write = async (seed: number, name: string) => {
    const place = join(folder.path, name)
    let counted = [0, 0]
    await synthesize(shape, place, 'w8a8', {
      seed,
      bits: 8,
      onProgress: (...progress) => (counted = progress),
    })
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

/** By bytes, for to compare large arrays element by element takes minutes. */
function expectSame(found: ArrayBufferView, expected: ArrayBufferView, name: string): void {
  const [a, b] = [found, expected].map((view) =>
    Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength),
  )
  expect(a.equals(b), name).toBe(true)
}

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

import { compareModels, Pool } from 'dotpool'
import { expect, it } from 'vitest'
import { bf16ToFloat32, floatToBf16 } from '#src/bf16.js'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import type { MadeWeight } from '../model/grouped/made-weight.js'
import { packQuantized, packQuantizedConfig } from '../model/grouped/pack-quantized.js'
import { load } from '../model/grouped/packed-checkpoint.js'
import type { MadeCheckpoint } from '../model/random-checkpoint.js'
import { f32, fixture, readIds, readJson } from '../model/support.js'

const SIZE = 32
const LAYERS = 2

/** Rounds a weight to four bits by groups. */
function roundWeight(w: Float32Array, N: number, K: number): MadeWeight {
  const groups = K / SIZE
  const [u, scales]: number[][][] = [[], []]
  for (let n = 0; n < N; n++) {
    const row = w.subarray(n * K, (n + 1) * K)
    scales[n] = Array.from({ length: groups }, (_, g) => {
      const group = row.subarray(g * SIZE, (g + 1) * SIZE)
      const absmax = group.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-8)
      return bf16ToFloat32(Uint16Array.of(floatToBf16(absmax / 7.5)))[0]
    })
    u[n] = Array.from(row, (value, k) => {
      const level = Math.round(value / scales[n][Math.floor(k / SIZE)])
      return Math.min(7, Math.max(-8, level)) + 8
    })
  }
  const groupOf = Array.from({ length: K }, (_, k) => Math.floor(k / SIZE))
  return { N, K, groups, groupOf, u, scales, zeros: u.map(() => Array(groups).fill(8)) }
}

/** The first layers of the fixture's model: in float, and with its Linears but the head in pack-quantized. */
async function halfFixture(): Promise<Record<'float' | 'packed', MadeCheckpoint>> {
  await using checkpoint = await Checkpoint.open(fixture)
  const { quantization_config: _, ...rest } = readJson(`${fixture}/config.json`)
  const layer_types = rest.layer_types.slice(0, LAYERS)
  const config = { ...rest, num_hidden_layers: LAYERS, layer_types }
  const float: MadeCheckpoint = { config, tensors: {} }
  const packed: MadeCheckpoint = {
    config: { ...config, quantization_config: packQuantizedConfig(SIZE) },
    tensors: {},
  }
  for (const name of checkpoint.names) {
    const { dtype, dims } = checkpoint.entry(name)
    const layer = Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0)
    if (name.endsWith('_scale') || layer >= LAYERS) continue
    if (dtype !== 'I8') {
      float.tensors[name] = f32([...dims], await checkpoint.readFloat(name, dims))
      packed.tensors[name] = float.tensors[name]
      continue
    }
    const [N, K] = dims
    const { data } = await checkpoint.read(name, dims)
    const scales = await checkpoint.readFloat(`${name}_scale`, [N, 1])
    const w = Float32Array.from(data, (q, i) => q * scales[Math.floor(i / K)])
    float.tensors[name] = f32([N, K], w)
    const linear = name.replace(/\.weight$/, '')
    Object.assign(packed.tensors, packQuantized(linear, roundWeight(w, N, K), { symmetric: true }))
  }
  return { float, packed }
}

it('costs little to run groups with float scales in integers', async () => {
  await using pool = await Pool.create({ threads: 1 })
  const made = await halfFixture()
  using float = await load(pool, made.float, { quantize: 'none' })
  using exact = await load(pool, made.packed, { quantize: 'none' })
  using int4 = await load(pool, made.packed, { skip: [] })
  const tokens = readIds(`${fixture}/val_ids.u16`).subarray(0, 192)
  const rounding = await compareModels(exact, float, tokens)
  const regrouping = await compareModels(int4, exact, tokens)
  expect(rounding.kl.mean).toBeGreaterThan(0.001)
  expect(regrouping.kl.mean).toBeLessThan(rounding.kl.mean / 8)
})

import { fileURLToPath } from 'node:url'
import { FusedMlp, intMatmul, Linear, Model, Pool, Tensor } from 'dotpool'

/*
 * Inputs of all calls, and their results as plain TypeScript computes them without any faults.
 */

/** @import { Random } from '../random.js' */
/** @typedef {ReturnType<typeof makeLayer>} Layer */
/** @typedef {{ x: Float32Array, rows: number, gate: Float32Array, up: Float32Array, float: Float32Array, mlp: Float32Array }} Input */
/** @typedef {{ layers: Layer[], inputs: Input[] }} Mlp */
/** @typedef {Awaited<ReturnType<typeof makeProduct>>} Product */
/** @typedef {Awaited<ReturnType<typeof makeTexts>>} Texts */
/** @typedef {{ mlps: Mlp[], products: Product[], texts: Texts[] }} Oracle */

/** The small language model that comes with the project. */
export const folder = fileURLToPath(
  new URL('../../fixtures/qwen3-shakespeare-w8a8', import.meta.url),
)

/** From a few channels, through odd sizes, to more than a core's level-2 cache holds. */
const SHAPES = [
  { k: 16, i: 64, n: 16 },
  { k: 67, i: 130, n: 33 },
  { k: 256, i: 300, n: 256 },
  { k: 768, i: 1536, n: 768 },
]
const ROWS = [1, 1, 2, 5, 9, 33]
const PRODUCTS = 3

/** Few prompts, but enough to show whether prompts with a common prefix affect each other. */
const PROMPTS = [
  'ROMEO:\nWhat say',
  'ROMEO:\nWhat say you to this part of mine, and ',
  'First Citizen:\n',
]
const SAMPLINGS = [
  {},
  { sampling: { temperature: 1, topP: 0.9, seed: 5 } },
  { sampling: { temperature: 0.8, topK: 20, repetitionPenalty: 1.1, seed: 6 } },
]
const CACHES = /** @type {const} */ (['bfloat16', 'int8'])
const TOKENS = 12

/** Makes random calls and computes their results. */
export async function makeOracle(/** @type {Random} */ random) {
  const before = process.env.DOTPOOL_ISA
  process.env.DOTPOOL_ISA = 'typescript'
  const pool = await Pool.create()
  if (before === undefined) delete process.env.DOTPOOL_ISA
  else process.env.DOTPOOL_ISA = before
  const mlps = []
  for (const shape of SHAPES) mlps.push(await makeMlp(pool, random, shape))
  const products = []
  for (let i = 0; i < PRODUCTS; i++) products.push(await makeProduct(pool, random))
  const texts = []
  for (const kv of CACHES) texts.push(await makeTexts(pool, kv))
  await pool.close()
  return { mlps, products, texts }
}

/**
 * Three Linears of an MLP, [i, k], [i, k] and [n, i].
 *
 * @param {Pool} pool
 * @param {Random} random
 * @param {{ k: number, i: number, n: number }} shape
 * @returns {Promise<Mlp>}
 */
async function makeMlp(pool, random, { k, i, n }) {
  const outliers = random.pick([0, 8])
  const layers = [
    makeLayer(random, k, i, outliers),
    makeLayer(random, k, i, outliers),
    makeLayer(random, i, n, outliers),
  ]
  const linears = await Promise.all(layers.map((layer) => packLayer(pool, layer)))
  const [gate, up, down] = linears
  const mlp = new FusedMlp(gate, up, down)
  const inputs = []
  for (const rows of ROWS) {
    const x = random.floats(rows * k)
    inputs.push({
      x,
      rows,
      gate: await gate.forward(x),
      up: await up.forward(x),
      float: await gate.forward(x, { precision: 'float32' }),
      mlp: await mlp.forward(x),
    })
  }
  return { layers, inputs }
}

/**
 * @param {Random} random
 * @param {number} inFeatures
 * @param {number} outFeatures
 * @param {number} outliers
 */
function makeLayer(random, inFeatures, outFeatures, outliers) {
  return {
    weight: random.bytes(inFeatures * outFeatures),
    scale: random.floats(outFeatures),
    options: { inFeatures, outFeatures, outliers, bias: random.floats(outFeatures) },
  }
}

/**
 * The layer's Linear on a pool.
 *
 * @param {Pool} pool
 * @param {Layer} layer
 */
export function packLayer(pool, { weight, scale, options }) {
  return Linear.fromInt8(pool, weight, scale, options)
}

/**
 * @param {Pool} pool
 * @param {Random} random
 */
async function makeProduct(pool, random) {
  const [m, k, n] = [random.integer(1, 40), random.integer(1, 200), random.integer(1, 100)]
  const a = new Tensor('int8', random.bytes(m * k), [m, k])
  const b = new Tensor('int8', random.bytes(k * n), [k, n])
  return { a, b, y: (await intMatmul(pool, a, b)).data }
}

/**
 * @param {Pool} pool
 * @param {typeof CACHES[number]} kv
 */
async function makeTexts(pool, kv) {
  const model = await Model.load(pool, folder, { kv })
  const texts = []
  for (const prompt of PROMPTS) {
    const { data } = await model.logits(model.tokenizer.encode(prompt))
    const continuations = []
    for (const sampling of SAMPLINGS) {
      const options = { ...sampling, maxTokens: TOKENS, ignoreEnd: true }
      const ids = []
      for await (const id of model.generateTokens(model.tokenizer.encode(prompt), options))
        ids.push(id)
      continuations.push({ options, ids })
    }
    texts.push({ prompt, logits: data, continuations })
  }
  model.dispose()
  return { kv, texts }
}

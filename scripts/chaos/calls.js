import { FusedMlp, intMatmul, LinearGroup, Model } from 'dotpool'
import { folder, packLayer } from './oracle.js'

/*
 * All ways to call a pool. Each makes one call or a few, chosen at random, and tells the ledger what should come
 * of them.
 */

/** @import { Linear, Pool, Tensor } from 'dotpool' */
/** @import { Fate, Ledger } from './ledger.js' */
/** @import { Mlp, Oracle, Texts } from './oracle.js' */
/** @import { Random } from './random.js' */

/**
 * What there is to call, and who asks.
 *
 * @typedef {object} Scene
 * @property {Random} random
 * @property {Ledger} ledger
 * @property {Fate} fate
 * @property {Pool} pool
 * @property {{ of: Mlp, gate: Linear, up: Linear, group: LinearGroup, mlp: FusedMlp, shared: Tensor<'float32'>[] }[]} mlps
 * @property {Oracle['products']} products
 * @property {{ model: Model, fate: Fate, texts: Texts['texts'] } | undefined} text only in some rounds
 */

/** Puts the oracle's layers on a pool, and inputs into its memory. */
export async function packMlps(/** @type {Pool} */ pool, /** @type {Mlp[]} */ mlps) {
  return await Promise.all(
    mlps.map(async (of) => {
      const [gate, up, down] = await Promise.all(of.layers.map((layer) => packLayer(pool, layer)))
      const shared = of.inputs.map(({ x, rows }) => {
        const tensor = pool.tensor('float32', [rows, gate.inFeatures])
        tensor.data.set(x)
        return tensor
      })
      const group = new LinearGroup([gate, up])
      return { of, gate, up, group, mlp: new FusedMlp(gate, up, down), shared }
    }),
  )
}

/**
 * A signal that will be aborted soon, or none.
 *
 * @param {Random} random
 */
function maybeSignal(random) {
  if (!random.chance(0.15)) return undefined
  const controller = new AbortController()
  const millis = random.integer(-2, 8)
  if (millis === -2) controller.abort()
  else if (millis === -1) queueMicrotask(() => controller.abort())
  else if (millis === 0) setImmediate(() => controller.abort())
  else setTimeout(() => controller.abort(), millis)
  return controller.signal
}

/** @param {Scene} scene */
async function forward({ random, ledger, fate, mlps }) {
  const { of, gate } = random.pick(mlps)
  const input = random.pick(of.inputs)
  const signal = maybeSignal(random)
  await ledger.expect('forward', fate, input.gate, () => gate.forward(input.x, { signal }), signal)
}

/** Many that wait for each other, so that they are joined. @param {Scene} scene */
async function burst(scene) {
  await Promise.all(Array.from({ length: scene.random.integer(2, 40) }, () => forward(scene)))
}

/** @param {Scene} scene */
async function forwardShared({ random, ledger, fate, pool, mlps }) {
  const { of, gate, shared } = random.pick(mlps)
  const i = random.integer(0, shared.length - 1)
  const { rows, gate: expected } = of.inputs[i]
  const signal = maybeSignal(random)
  const out = random.chance(0.5) ? pool.tensor('float32', [rows, gate.outFeatures]) : undefined
  const call = async () => (await gate.forward(shared[i], { signal, out })).data
  await ledger.expect('forward of a shared tensor', fate, expected, call, signal)
}

/** @param {Scene} scene */
async function forwardFloat({ random, ledger, fate, mlps }) {
  const { of, gate } = random.pick(mlps)
  const { x, float } = random.pick(of.inputs)
  const signal = maybeSignal(random)
  const call = () => gate.forward(x, { precision: 'float32', signal })
  await ledger.expect('forward in float32', fate, float, call, signal)
}

/** @param {Scene} scene */
async function forwardSync({ random, ledger, fate, mlps }) {
  const { of, mlp, gate } = random.pick(mlps)
  const input = random.pick(of.inputs)
  if (random.chance(0.5)) {
    await ledger.expect('forwardSync', fate, input.gate, () => gate.forwardSync(input.x))
  } else {
    await ledger.expect('forwardSync of an MLP', fate, input.mlp, () => mlp.forwardSync(input.x))
  }
}

/** @param {Scene} scene */
async function forwardGroup({ random, ledger, fate, mlps }) {
  const { of, group } = random.pick(mlps)
  const { x, gate, up } = random.pick(of.inputs)
  const signal = maybeSignal(random)
  await ledger.expect('group', fate, [gate, up], () => group.forward(x, { signal }), signal)
}

/** @param {Scene} scene */
async function forwardMlp({ random, ledger, fate, mlps }) {
  const { of, mlp } = random.pick(mlps)
  const { x, mlp: expected } = random.pick(of.inputs)
  const signal = maybeSignal(random)
  await ledger.expect('MLP', fate, expected, () => mlp.forward(x, { signal }), signal)
}

/** @param {Scene} scene */
async function multiply({ random, ledger, fate, pool, products }) {
  const { a, b, y } = random.pick(products)
  const signal = maybeSignal(random)
  const call = async () => (await intMatmul(pool, a, b, { signal })).data
  await ledger.expect('intMatmul', fate, y, call, signal)
}

/** A layer that is disposed of while it is called. @param {Scene} scene */
async function passingLayer({ random, ledger, fate, pool, mlps }) {
  const { of } = random.pick(mlps)
  const { x, gate } = random.pick(of.inputs)
  await ledger.expect('a layer of its own', fate, Array(3).fill(gate), async () => {
    const layer = await packLayer(pool, of.layers[0])
    const calls = [1, 2, 3].map(() => layer.forward(x))
    layer.dispose()
    const late = layer.forward(x).then(
      () => 'no error',
      ({ code }) => code,
    )
    const [code, ...results] = await Promise.allSettled([late, ...calls])
    if (code.status === 'fulfilled' && code.value !== 'ERR_DOTPOOL_DISPOSED')
      throw new Error(code.value)
    return results.map((result) => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
  })
}

/** @param {Scene} scene */
async function logits({ random, ledger, text }) {
  if (text === undefined) return
  const { prompt, logits } = random.pick(text.texts)
  const signal = maybeSignal(random)
  const call = async () => {
    const { data } = await text.model.logits(text.model.tokenizer.encode(prompt), { signal })
    return data
  }
  await ledger.expect('logits', text.fate, logits, call, signal)
}

/** Tokens up to some number, maybe fewer than there are: then the iterator is ended, or left alone. @param {Scene} scene */
async function generate({ random, ledger, text }) {
  if (text === undefined) return
  const { prompt, continuations } = random.pick(text.texts)
  const { options, ids } = random.pick(continuations)
  const count = random.integer(1, ids.length)
  const abandons = random.chance(0.3)
  const signal = maybeSignal(random)
  const call = async () => {
    const tokens = text.model.tokenizer.encode(prompt)
    const iterator = text.model.generateIds(tokens, { ...options, signal })
    const taken = []
    while (taken.length < count) taken.push((await iterator.next()).value)
    if (!abandons) await iterator.return()
    return taken
  }
  await ledger.expect('generateIds', text.fate, ids.slice(0, count), call, signal)
}

/** @param {Scene} scene */
async function passingModel({ random, ledger, fate, pool, text }) {
  if (text === undefined) return
  const signal = maybeSignal(random)
  const call = async () => {
    const model = await Model.load(pool, folder, { signal })
    model.dispose()
    return model.config.vocabSize
  }
  await ledger.expect('a model of its own', fate, text.model.config.vocabSize, call, signal)
}

/** Each as often as it is listed for. */
const kinds = /** @type {const} */ ([
  [300, forward],
  [100, burst],
  [100, forwardShared],
  [50, forwardFloat],
  [50, forwardSync],
  [100, forwardGroup],
  [100, forwardMlp],
  [50, multiply],
  [30, passingLayer],
  [30, logits],
  [60, generate],
  [1, passingModel],
])

const all = kinds.flatMap(([times, kind]) => Array(times).fill(kind))

/** Makes a call of some kind. */
export async function callSomething(/** @type {Scene} */ scene) {
  await scene.random.pick(all)(scene)
}

import { FusedMlp, intMatmul, LinearGroup, Model } from 'dotpool'
import { folder, packLayer } from './oracle.js'

/*
 * All ways to call a pool. Each function makes one call or a few, chosen at random, and tells the tally what to expect.
 */

/** @import { Linear, Pool, Tensor } from 'dotpool' */
/** @import { AllowedErrors, Tally } from './tally.js' */
/** @import { Mlp, Oracle, Texts } from './oracle.js' */
/** @import { Random } from '../random.js' */

/**
 * What to call, and the shared state of a round.
 *
 * @typedef {object} CallContext
 * @property {Random} random
 * @property {Tally} tally
 * @property {AllowedErrors} allowed
 * @property {Pool} pool
 * @property {{ of: Mlp, gate: Linear, up: Linear, group: LinearGroup, mlp: FusedMlp, shared: Tensor<'float32'>[] }[]}
 * mlps
 * @property {Oracle['products']} products
 * @property {{ model: Model, allowed: AllowedErrors, texts: Texts['texts'] } | undefined} text only in some rounds
 */

/** Packs the oracle's layers for a pool, and copies inputs into its memory. */
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
 * Returns a signal that will be aborted soon, or none.
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

/** @param {CallContext} context */
async function forward({ random, tally, allowed, mlps }) {
  const { of, gate } = random.pick(mlps)
  const input = random.pick(of.inputs)
  const signal = maybeSignal(random)
  await tally.expect(
    'forward',
    allowed,
    input.gate,
    () => gate.forward(input.x, { signal }),
    signal,
  )
}

/** Makes many calls at once, so that they are joined. @param {CallContext} context */
async function burst(context) {
  await Promise.all(Array.from({ length: context.random.integer(2, 40) }, () => forward(context)))
}

/** @param {CallContext} context */
async function forwardShared({ random, tally, allowed, pool, mlps }) {
  const { of, gate, shared } = random.pick(mlps)
  const i = random.integer(0, shared.length - 1)
  const { rows, gate: expected } = of.inputs[i]
  const signal = maybeSignal(random)
  const out = random.chance(0.5) ? pool.tensor('float32', [rows, gate.outFeatures]) : undefined
  const call = async () => (await gate.forward(shared[i], { signal, out })).data
  await tally.expect('forward of a shared tensor', allowed, expected, call, signal)
}

/** @param {CallContext} context */
async function forwardFloat({ random, tally, allowed, mlps }) {
  const { of, gate } = random.pick(mlps)
  const { x, float } = random.pick(of.inputs)
  const signal = maybeSignal(random)
  const call = () => gate.forward(x, { precision: 'float32', signal })
  await tally.expect('forward in float32', allowed, float, call, signal)
}

/** @param {CallContext} context */
async function forwardSync({ random, tally, allowed, mlps }) {
  const { of, mlp, gate } = random.pick(mlps)
  const input = random.pick(of.inputs)
  if (random.chance(0.5)) {
    await tally.expect('forwardSync', allowed, input.gate, () => gate.forwardSync(input.x))
  } else {
    await tally.expect('forwardSync of an MLP', allowed, input.mlp, () => mlp.forwardSync(input.x))
  }
}

/** @param {CallContext} context */
async function forwardGroup({ random, tally, allowed, mlps }) {
  const { of, group } = random.pick(mlps)
  const { x, gate, up } = random.pick(of.inputs)
  const signal = maybeSignal(random)
  await tally.expect('group', allowed, [gate, up], () => group.forward(x, { signal }), signal)
}

/** @param {CallContext} context */
async function forwardMlp({ random, tally, allowed, mlps }) {
  const { of, mlp } = random.pick(mlps)
  const { x, mlp: expected } = random.pick(of.inputs)
  const signal = maybeSignal(random)
  await tally.expect('MLP', allowed, expected, () => mlp.forward(x, { signal }), signal)
}

/** @param {CallContext} context */
async function multiply({ random, tally, allowed, pool, products }) {
  const { a, b, y } = random.pick(products)
  const signal = maybeSignal(random)
  const call = async () => (await intMatmul(pool, a, b, { signal })).data
  await tally.expect('intMatmul', allowed, y, call, signal)
}

/** Disposes of a layer during its calls. @param {CallContext} context */
async function disposedLayer({ random, tally, allowed, pool, mlps }) {
  const { of } = random.pick(mlps)
  const { x, gate } = random.pick(of.inputs)
  await tally.expect('a layer of its own', allowed, Array(3).fill(gate), async () => {
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

/** @param {CallContext} context */
async function logits({ random, tally, text }) {
  if (text === undefined) return
  const { prompt, logits } = random.pick(text.texts)
  const signal = maybeSignal(random)
  const call = async () => {
    const { data } = await text.model.logits(text.model.tokenizer.encode(prompt), { signal })
    return data
  }
  await tally.expect('logits', text.allowed, logits, call, signal)
}

/** Takes some of the tokens; then ends the iterator, or abandons it. @param {CallContext} context */
async function generate({ random, tally, text }) {
  if (text === undefined) return
  const { prompt, continuations } = random.pick(text.texts)
  const { options, ids } = random.pick(continuations)
  const count = random.integer(1, ids.length)
  const abandons = random.chance(0.3)
  const signal = maybeSignal(random)
  const call = async () => {
    const tokens = text.model.tokenizer.encode(prompt)
    const iterator = text.model.generateTokens(tokens, { ...options, signal })
    const taken = []
    while (taken.length < count) taken.push((await iterator.next()).value)
    if (!abandons) await iterator.return()
    return taken
  }
  await tally.expect('generateTokens', text.allowed, ids.slice(0, count), call, signal)
}

/** @param {CallContext} context */
async function disposedModel({ random, tally, allowed, pool, text }) {
  if (text === undefined) return
  const signal = maybeSignal(random)
  const call = async () => {
    const model = await Model.load(pool, folder, { signal })
    model.dispose()
    return model.config.vocabSize
  }
  await tally.expect('a model of its own', allowed, text.model.config.vocabSize, call, signal)
}

/** Ways to call; each is chosen as often as it is listed. */
const kinds = /** @type {const} */ ([
  [300, forward],
  [100, burst],
  [100, forwardShared],
  [50, forwardFloat],
  [50, forwardSync],
  [100, forwardGroup],
  [100, forwardMlp],
  [50, multiply],
  [30, disposedLayer],
  [30, logits],
  [60, generate],
  [1, disposedModel],
])

const all = kinds.flatMap(([times, kind]) => Array(times).fill(kind))

/** Makes a call of a random kind. */
export async function callSomething(/** @type {CallContext} */ context) {
  await context.random.pick(all)(context)
}

import {
  ArgumentError,
  type Checkpoint,
  compareLinears,
  compareModels,
  FloatLinear,
  FusedMlp,
  intMatmul,
  Linear,
  LinearGroup,
  Model,
  Pool,
  quantizeLinears,
  quantizeWeight,
  replaceLinears,
  Tensor,
} from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkOptions } from '#src/options.js'
import { fixture } from './model/support.js'
import { type Any, makeThings, shape } from './support/public-api.js'

let pool: Pool
let linear: Linear
let model: Model
let floats: Model
let checkpoint: Checkpoint
beforeAll(async () => {
  ;({ pool, linear, model, floats, checkpoint } = await makeThings())
})
afterAll(async () => {
  await checkpoint.close()
  await pool.close()
})

async function refusal(call: () => unknown): Promise<ArgumentError> {
  const error = await (async () => await call())().then(
    () => expect.fail('the call was not refused'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ArgumentError)
  return error as ArgumentError
}

describe('an unknown option is refused, with the nearest known one', () => {
  const x = new Float32Array(4)
  const matrix = () => new Tensor('int8', new Int8Array(16), [4, 4])
  const forward = { precison: 'float32' } as Any
  const aborts = { abortSignal: AbortSignal.abort() } as Any
  const mlp = () => new FusedMlp(linear, linear, linear)
  const loads = { max_context: 8 } as Any
  const reads = { on_progress: () => {} } as Any

  it.each<[string, () => unknown, string]>([
    ['Pool.create', () => Pool.create({ num_threads: 1 } as Any), 'threads'],
    [
      'Linear.fromInt8',
      () => Linear.fromInt8(pool, new Int8Array(16), 1, { ...shape, Bias: x } as Any),
      'bias',
    ],
    [
      'Linear.fromFloat',
      () => Linear.fromFloat(pool, new Float32Array(16), { ...shape, biases: x } as Any),
      'bias',
    ],
    ['Linear.forward', () => linear.forward(x, forward), 'precision'],
    ['Linear.forwardSync', () => linear.forwardSync(x, forward), 'precision'],
    ['LinearGroup.forward', () => new LinearGroup([linear]).forward(x, { outs: [] } as Any), 'out'],
    [
      'LinearGroup.forwardSync',
      () => new LinearGroup([linear]).forwardSync(x, aborts),
      'one of out',
    ],
    [
      'new FusedMlp',
      () => new FusedMlp(linear, linear, linear, { activations: 'gelu' } as Any),
      'activation',
    ],
    ['FusedMlp.forward', () => mlp().forward(x, { Signal: undefined } as Any), 'signal'],
    ['FusedMlp.forwardSync', () => mlp().forwardSync(x, { Out: x } as Any), 'out'],
    [
      'FloatLinear.fromFloat',
      () => FloatLinear.fromFloat(pool, new Float32Array(16), { ...shape, outliers: 1 } as Any),
      'one of inFeatures, outFeatures, bias',
    ],
    [
      'FloatLinear.forward',
      () => (floats.linears.get('lm_head') as Any).forward(x, aborts),
      'one of signal',
    ],
    ['intMatmul', () => intMatmul(pool, matrix(), matrix(), { sigal: undefined } as Any), 'signal'],
    [
      'quantizeWeight',
      () => quantizeWeight(new Float32Array(16), { ...shape, K: 4 } as Any),
      'one of inFeatures, outFeatures',
    ],
    ['Checkpoint.read', () => checkpoint.read('model.norm.weight', [1], reads), 'onProgress'],
    [
      'Checkpoint.readFloat',
      () => checkpoint.readFloat('model.norm.weight', [1], reads),
      'onProgress',
    ],
    ['Model.load', () => Model.load(pool, fixture, loads), 'maxContext'],
    ['Model.save', () => model.save('nowhere', { shard_bytes: 9 } as Any), 'shardBytes'],
    ['Model.generate', () => model.generate('x', { max_tokens: 3 } as Any), 'maxTokens'],
    ['Model.generate, stop', () => model.generate('x', { stops: ['a'] } as Any), 'stop'],
    [
      'Model.generateTokens',
      () => model.generateTokens([1], { max_new_tokens: 3 } as Any),
      'maxTokens',
    ],
    ['Model.nll', () => model.nll([1, 2], { windows: 3 } as Any), 'window'],
    ['compareModels', () => compareModels(model, floats, [1, 2], { windows: 3 } as Any), 'window'],
    ['compareLinears', () => compareLinears(model, floats, [1], { sinal: 3 } as Any), 'signal'],
    ['Model.logits', () => model.logits([1], { signals: undefined } as Any), 'signal'],
    [
      'Tokenizer.encode',
      () => model.tokenizer.encode('x', { add_special_tokens: false } as Any),
      'addSpecialTokens',
    ],
    ['quantizeLinears', () => quantizeLinears(model, { skips: [] } as Any), 'skip'],
    ['replaceLinears', () => replaceLinears(model, checkpoint, { Skip: [] } as Any), 'skip'],
  ])('%s', async (_, call, expected) => {
    const error = await refusal(call)
    expect(error.argument).toMatch(/^(options|shape)$/)
    expect(error.expected.startsWith(expected)).toBe(true)
    expect(error.got).toMatch(/^the unknown option /)
  })

  it('inside sampling', async () => {
    const error = await refusal(() => model.generate('x', { sampling: { top_p: 0.1 } as Any }))
    expect(error.message).toBe('sampling: expected topP, got the unknown option top_p')
  })
})

describe('options', () => {
  const names = { maxTokens: true, seed: true } as const

  it('lists all known options where none is near', () => {
    const call = () => checkOptions({ frobnicate: 1 } as Any, names)
    expect(call).toThrow(
      'options: expected one of maxTokens, seed, got the unknown option frobnicate',
    )
  })

  it('are not known just because every object has them', () => {
    expect(() => checkOptions({ toString: 1 } as Any, names)).toThrow(ArgumentError)
  })

  it.each([null, 7, 'seed', [['seed', 1]]])('must be an object, not %j', (value) => {
    expect(() => checkOptions(value as Any, names)).toThrow(/^options: expected an object, got /)
  })

  it('can be undefined', () => {
    expect(() => checkOptions({ maxTokens: undefined } as Any, names)).not.toThrow()
  })
})

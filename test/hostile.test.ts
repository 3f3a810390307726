import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  applyGate,
  bf16ToFloat,
  bf16ToFloat32,
  Checkpoint,
  compareLinears,
  compareModels,
  DotpoolError,
  FloatLinear,
  FusedMlp,
  float32ToBf16,
  floatToBf16,
  intMatmul,
  Linear,
  LinearGroup,
  Model,
  Pool,
  packSdot,
  quantizeInt4,
  quantizeLinears,
  quantizeRows,
  quantizeWeight,
  replaceLinears,
  Tensor,
  Texts,
  unpackSdot,
} from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixture } from './model/support.js'
import { type Any, makeThings } from './support/public-api.js'

/*
 * Calls every public function with arguments, some valid and some of any kind that JavaScript has. The call may work or
 * throw one of our errors. It may not throw an engine error, hang, or leave anything behind that changes other results.
 */

let pool: Pool
let linear: Linear
let model: Model
let floats: Model
let checkpoint: Checkpoint
let folder: string
beforeAll(async () => {
  ;({ pool, linear, model, floats, checkpoint } = await makeThings())
  folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
})
afterAll(async () => {
  await checkpoint.close()
  await pool.close()
  await rm(folder, { recursive: true })
})

// ---- values ---------------------------------------------------------------------------------------

/** With a signal that is aborted. */
const reason = new Error('aborted')

function shrunk<A extends ArrayBufferView>(View: new (buffer: ArrayBuffer) => A): A {
  const buffer = new (ArrayBuffer as Any)(64, { maxByteLength: 64 })
  const view = new View(buffer)
  buffer.resize(8)
  return view
}

function detached<A extends ArrayBufferView>(view: A): A {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] })
  return view
}

const own = (value: object, property: string, content: unknown) =>
  Object.defineProperty(value, property, { value: content })

/** Any kind of value, made anew for each call. */
const hostile: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  zero: () => 0,
  one: () => 1,
  four: () => 4,
  'minus one': () => -1,
  half: () => 0.5,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '2^31': () => 2 ** 31,
  '2^53': () => 2 ** 53,
  '1e300': () => 1e300,
  '1e-300': () => 1e-300,
  bigint: () => 1n,
  symbol: () => Symbol('s'),
  'no text': () => '',
  text: () => '/dev/null/text',
  'text with \\0': () => 'a\0b',
  'half a code point': () => '\ud83d',
  'no items': () => [],
  'an item': () => [1],
  holes: () => new Array(2),
  nulls: () => [null, null],
  bigints: () => [1n],
  symbols: () => [Symbol('s')],
  'many items': () => new Array(1000).fill(1),
  object: () => ({}),
  'object without a prototype': () => Object.create(null),
  'object of an unknown option': () => ({ frobnicate: 1 }),
  'object with a length': () => ({ length: 1.5, 0: 1, 1: 2 }),
  'object of a great length': () => ({ length: 2 ** 40 }),
  function: () => () => {},
  'async function': () => async () => {},
  date: () => new Date(0),
  map: () => new Map([['a', 1]]),
  promise: () => Promise.resolve(1),
  proxy: () => new Proxy({}, {}),
  'proxy of a view': () => new Proxy(new Float32Array(4), {}),
  buffer: () => new ArrayBuffer(64),
  'shared buffer': () => new SharedArrayBuffer(64),
  floats: () => new Float32Array(4),
  'no floats': () => new Float32Array(0),
  'shared floats': () => new Float32Array(new SharedArrayBuffer(16)),
  'detached floats': () => detached(new Float32Array(4)),
  'shrunk floats': () => shrunk(Float32Array),
  'floats of a longer length': () => own(new Float32Array(4), 'length', 1 << 30),
  'floats of another buffer': () => own(new Float32Array(4), 'buffer', new ArrayBuffer(4)),
  'bytes that seem floats': () => Object.setPrototypeOf(new Uint8Array(4), Float32Array.prototype),
  'floats without a prototype': () => Object.setPrototypeOf(new Float32Array(4), null),
  doubles: () => new Float64Array(4),
  halves: () => new Uint16Array(4),
  int8: () => new Int8Array(16),
  'shrunk int8': () => shrunk(Int8Array),
  'detached int8': () => detached(new Int8Array(16)),
  bytes: () => new Uint8Array(8),
  node: () => Buffer.from('text'),
  words: () => Uint32Array.of(1, 2, 3),
  'bigint array': () => new BigInt64Array(4),
  'data view': () => new DataView(new ArrayBuffer(16)),
  tensor: () => new Tensor('float32', new Float32Array(4), [1, 4]),
  'shared tensor': () => pool.tensor('float32', [1, 4]),
  'tensor of halves': () => new Tensor('bfloat16', new Uint16Array(4), [1, 4]),
  'tensor of int8': () => new Tensor('int8', new Int8Array(16), [4, 4]),
  'tensor of nothing': () => new Tensor('float32', new Float32Array(0), [0, 4]),
  'tensor that was detached': () => {
    const data = new Float32Array(4)
    const tensor = new Tensor('float32', data, [1, 4])
    detached(data)
    return tensor
  },
  'aborted signal': () => AbortSignal.abort(reason),
  pool: () => pool,
  linear: () => linear,
  model: () => model,
  checkpoint: () => checkpoint,
}

// ---- calls ----------------------------------------------------------------------------------------

type Make = () => unknown
/** A valid argument's parts, or the options of a valid call. */
type Argument = Make | Record<string, Make>

interface Call {
  call: (...args: Any[]) => unknown
  args: Argument[]
}

const x = () => new Float32Array(4).fill(1)
const signal = () => new AbortController().signal
const noop = () => () => {}
const tokens = () => [1, 2, 3, 4, 5]
const aborts = { signal }
const reads = { signal, onProgress: noop }
const sizes = { inFeatures: () => 4, outFeatures: () => 4 }
const makes = { ...sizes, bias: x, outliers: () => 2, ...reads }
const forwards = { signal, out: () => new Float32Array(4) }
const ofPool = () => pool
const ofModel = () => model
const ofFloats = () => floats
const matrix = () => new Tensor('int8', new Int8Array(16), [4, 4])

const generates = {
  maxTokens: () => 2,
  sampling: () => ({ temperature: 0.5 }),
  processors: () => [() => {}],
  group: () => ({}),
  ignoreEnd: () => true,
  signal,
}

const samplings = {
  temperature: () => 0.5,
  topK: () => 3,
  topP: () => 0.5,
  minP: () => 0.1,
  repetitionPenalty: () => 1.5,
  frequencyPenalty: () => 0.5,
  presencePenalty: () => 0.5,
  logitBias: () => ({ 3: 1 }),
  seed: () => 1,
}

/** The first items of a generation. */
async function take(generating: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = []
  for await (const item of generating) if (items.push(item) === 2) break
  return items
}

const calls: Record<string, Call> = {
  bf16ToFloat: { call: bf16ToFloat, args: [() => 16256] },
  floatToBf16: { call: floatToBf16, args: [() => 1] },
  bf16ToFloat32: { call: bf16ToFloat32, args: [() => new Uint16Array(4), x] },
  float32ToBf16: { call: float32ToBf16, args: [x, () => new Uint16Array(4)] },
  applyGate: { call: applyGate, args: [() => 'silu', x, x, x] },
  quantizeRows: { call: quantizeRows as Any, args: [x, () => 4, { outliers: () => 2 }] },
  quantizeWeight: { call: quantizeWeight, args: [() => new Float32Array(16), sizes] },
  quantizeInt4: {
    call: quantizeInt4,
    args: [() => new Float32Array(16), { ...sizes, moments: () => new Float64Array(4).fill(1) }],
  },
  packSdot: { call: packSdot, args: [() => new Int8Array(16), () => 4, () => 4] },
  unpackSdot: { call: unpackSdot, args: [() => new Int8Array(16), () => 4, () => 4] },
  'new Tensor': {
    call: (type, data, dims) => new Tensor(type, data, dims),
    args: [() => 'float32', x, () => [1, 4]],
  },
  'Pool.tensor': {
    call: (type, dims) => pool.tensor(type, dims),
    args: [() => 'int32', () => [2, 2]],
  },
  intMatmul: { call: intMatmul, args: [ofPool, matrix, matrix, aborts] },
  'Linear.fromInt8': {
    call: Linear.fromInt8,
    args: [ofPool, () => new Int8Array(16), x, makes],
  },
  'Linear.fromFloat': {
    call: Linear.fromFloat,
    args: [ofPool, () => new Float32Array(16), makes],
  },
  'Linear.forward': {
    call: (...args) => (linear.forward as Any)(...args),
    args: [x, { ...forwards, precision: () => 'float32' }],
  },
  'Linear.forwardSync': {
    call: (...args) => (linear.forwardSync as Any)(...args),
    args: [x, { out: forwards.out, precision: () => 'int8' }],
  },
  'new LinearGroup': { call: (linears) => new LinearGroup(linears), args: [() => [linear]] },
  'LinearGroup.forward': {
    call: (...args) => (new LinearGroup([linear, linear]).forward as Any)(...args),
    args: [x, { signal, out: () => [x(), x()] }],
  },
  'LinearGroup.forwardSync': {
    call: (...args) => (new LinearGroup([linear]).forwardSync as Any)(...args),
    args: [x, { out: () => [x()] }],
  },
  'new FusedMlp': {
    call: (gate, up, down, options) => new FusedMlp(gate, up, down, options),
    args: [() => linear, () => linear, () => linear, { activation: () => 'gelu' }],
  },
  'FusedMlp.forward': {
    call: (...args) => (new FusedMlp(linear, linear, linear).forward as Any)(...args),
    args: [x, forwards],
  },
  'FusedMlp.forwardSync': {
    call: (...args) => (new FusedMlp(linear, linear, linear).forwardSync as Any)(...args),
    args: [x, { out: forwards.out }],
  },
  'FloatLinear.fromFloat': {
    call: FloatLinear.fromFloat,
    args: [
      ofPool,
      () => new Float32Array(16),
      { inFeatures: () => 4, outFeatures: () => 4, bias: () => new Float32Array(4) },
    ],
  },
  'FloatLinear.forward': {
    call: (x, options) => {
      const head = floats.linears.get('lm_head') as Linear
      return head.forward(x, options)
    },
    args: [() => new Float32Array(floats.config.hiddenSize), aborts],
  },
  'Checkpoint.open': { call: (path) => Checkpoint.open(path), args: [() => '/nowhere'] },
  'Checkpoint.read': {
    call: (name, dims, options) => checkpoint.read(name, dims, options),
    args: [() => 'model.norm.weight', () => [model.config.hiddenSize], reads],
  },
  'Checkpoint.readFloat': {
    call: (name, dims, options) => checkpoint.readFloat(name, dims, options),
    args: [() => 'model.norm.weight', () => [model.config.hiddenSize], reads],
  },
  'Checkpoint.readRows': {
    call: (...args) => (checkpoint.readRows as Any).apply(checkpoint, args),
    args: [() => 'lm_head.weight', () => 0, () => 0, () => new Uint8Array(0), signal],
  },
  'Checkpoint.chunks': {
    call: (name, signal) => take(checkpoint.chunks(name, signal)),
    args: [() => 'model.norm.weight', signal],
  },
  'Checkpoint.dtype': { call: (name) => checkpoint.dtype(name), args: [() => 'model.norm.weight'] },
  'Checkpoint.fileOf': {
    call: (name) => checkpoint.fileOf(name),
    args: [() => 'model.norm.weight'],
  },
  'Tokenizer.encode': {
    call: (text, options) => model.tokenizer.encode(text, options),
    args: [() => 'text', { addSpecialTokens: () => false }],
  },
  'Tokenizer.decode': { call: (ids) => model.tokenizer.decode(ids), args: [tokens] },
  'Tokenizer.bytesOf': { call: (token) => model.tokenizer.bytesOf(token), args: [() => 5] },
  'Tokenizer.stream': {
    call: (context, id) => model.tokenizer.stream(context).push(id),
    args: [tokens, () => 7],
  },
  'Model.logits': { call: (ids, options) => model.logits(ids, options), args: [tokens, aborts] },
  'Model.nll': {
    call: (ids, options) => model.nll(ids, options),
    args: [tokens, { window: () => 3, ...reads }],
  },
  'Model.generateTokens': {
    call: (ids, options) => take(model.generateTokens(ids, options)),
    args: [tokens, generates],
  },
  'Model.generate': {
    call: (prompt, options) => take(model.generate(prompt, options)),
    args: [
      () => 'text',
      { ...generates, stop: () => ['a'], logprobs: () => 2, resumeAfter: () => [1] },
    ],
  },
  sampling: {
    call: (sampling) => take(model.generateTokens([1], { maxTokens: 2, sampling })),
    args: [samplings],
  },
  compareModels: {
    call: compareModels,
    args: [ofModel, ofFloats, tokens, { window: () => 3, ...reads }],
  },
}

/** Functions that run long when their arguments are valid, or that change state. */
const slowCalls: Record<string, Call> = {
  'Texts.fromFiles': {
    call: async (files) => await (await Texts.fromFiles(files)).close(),
    args: [{ 'chat_template.jinja': () => new TextEncoder().encode('{{ messages }}') }],
  },
  'Model.fingerprint': { call: (options) => model.fingerprint(options), args: [aborts] },
  compareLinears: { call: compareLinears, args: [ofModel, ofFloats, tokens, reads] },
  'Pool.create': {
    call: async (options) => await (await Pool.create(options)).close(),
    args: [
      {
        threads: () => 1,
        cores: () => 'fast',
        spinMicros: () => 0,
        nativeLibrary: () => undefined,
        workerUrl: () => undefined,
      },
    ],
  },
  'Model.load': {
    call: async (pool, path, options) => (await Model.load(pool, path, options)).dispose(),
    args: [
      ofPool,
      () => fixture,
      {
        ...reads,
        quantize: () => 'w8a8',
        skip: () => ['lm_head'],
        kv: () => 'bfloat16',
        outliers: () => 8,
        maxContext: () => 64,
        kvBytes: () => 1 << 20,
        prefixCache: () => false,
        maxQueue: () => 10,
        maxQueuedTokens: () => 1000,
      },
    ],
  },
  'Model.inspect': {
    call: (path, options) => Model.inspect(path, options),
    args: [
      () => fixture,
      {
        ...reads,
        quantize: () => 'w8a8',
        kv: () => 'int8',
        maxContext: () => 64,
        kvBytes: () => 1,
      },
    ],
  },
  'Model.save': {
    call: async (path, options) => {
      await model.save(path, options)
      await rm(path, { recursive: true })
    },
    args: [() => join(folder, 'saved'), { ...reads, shardBytes: () => 1e9 }],
  },
  quantizeLinears: {
    call: quantizeLinears,
    args: [
      ofModel,
      {
        ...{ ...reads, skip: () => ['lm_head'], outliers: () => 15 },
        calibration: () => [1, 2, 3],
        quantize: () => 'w4a8',
        bits: () => 5,
      },
    ],
  },
  replaceLinears: {
    call: replaceLinears,
    args: [ofModel, () => checkpoint, { ...reads, skip: () => ['lm_head'], outliers: () => 15 }],
  },
}

// ---- plans, which fast-check shrinks and prints ----------------------------------------------------

const GOOD = 'good'
type Plan = string | { [option: string]: string }

const value = fc.oneof(
  { weight: 2, arbitrary: fc.constant(GOOD) },
  { weight: 1, arbitrary: fc.constantFrom(...Object.keys(hostile)) },
)

function planOf(argument: Argument): fc.Arbitrary<Plan> {
  if (typeof argument === 'function') return value
  const options = fc.dictionary(fc.constantFrom(...Object.keys(argument)), value)
  return fc.oneof(
    { weight: 4, arbitrary: options },
    { weight: 1, arbitrary: fc.constantFrom(...Object.keys(hostile)) },
  )
}

function carryOut(plan: Plan, argument: Argument): unknown {
  if (typeof plan === 'string') {
    return plan === GOOD ? (argument as Make)() : hostile[plan]()
  }
  const options = argument as Record<string, Make>
  return Object.fromEntries(
    Object.entries(plan).map(([name, what]) => [name, carryOut(what, options[name])]),
  )
}

async function expectTyped({ call, args }: Call, plans: Plan[]): Promise<void> {
  try {
    await call(...plans.map((plan, i) => carryOut(plan, args[i])))
  } catch (error) {
    if (error !== reason && !(error instanceof DotpoolError)) throw error
  }
}

function property(call: Call): fc.IAsyncPropertyWithHooks<[Plan[]]> {
  const plans = fc.tuple(...call.args.map(planOf)) as fc.Arbitrary<Plan[]>
  return fc.asyncProperty(plans, async (plan) => await expectTyped(call, plan))
}

describe('with any arguments', () => {
  it.each(Object.entries(calls))('%s works or throws one of our errors', async (_, call) => {
    await fc.assert(property(call), { numRuns: 50 })
  })

  it.each(Object.entries(slowCalls))('%s works or throws one of our errors', async (_, call) => {
    await fc.assert(property(call), { numRuns: 10 })
  })

  it('leaves later results unchanged', async () => {
    expect(await linear.forward(x())).toEqual(new Float32Array(4).fill(12))
    const fresh = await Model.load(pool, fixture)
    expect((await model.logits(tokens())).data).toEqual((await fresh.logits(tokens())).data)
  })
})

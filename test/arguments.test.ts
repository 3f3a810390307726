import {
  ArgumentError,
  applyGate,
  DisposedError,
  DotpoolError,
  FusedMlp,
  intMatmul,
  Linear,
  LinearGroup,
  Pool,
  PoolClosedError,
  packSdot,
  quantizeRows,
  quantizeWeight,
  Tensor,
  unpackSdot,
} from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Any } from './support/public-api.js'

let pool: Pool
let linear: Linear
beforeAll(async () => {
  pool = await Pool.create({ threads: 1 })
  linear = await Linear.fromInt8(pool, new Int8Array(12), 1, { inFeatures: 4, outFeatures: 3 })
})
afterAll(async () => await pool.close())

/** The error of a call that must fail before any work: no region may run. */
async function refusal(call: () => unknown): Promise<unknown> {
  const { regions } = pool.stats()
  try {
    await call()
  } catch (error) {
    expect(pool.stats().regions).toBe(regions)
    return error
  }
  return expect.fail('the call was not refused')
}

/** An array whose memory was transferred to another thread. */
function detached<A extends ArrayBufferView>(array: A): A {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
  return array
}

const options = { inFeatures: 4, outFeatures: 3 }
const int8 = () => new Int8Array(12)
const float = (length = 4) => new Float32Array(length)
const tensor = (type: Any, Type: Any, dims: number[]) =>
  new Tensor(type, new Type(dims.reduce((a, b) => a * b)), dims)
const matrix = (m: number, n: number) => new Tensor('int8', new Int8Array(m * n), [m, n])
const fromInt8 =
  (weight: Any, scale: Any, opts: Any = options) =>
  () =>
    Linear.fromInt8(pool, weight, scale, opts)
const fromFloat =
  (weight: Any, opts: Any = options) =>
  () =>
    Linear.fromFloat(pool, weight, opts)
const forward = (x: Any, opts?: Any) => () => linear.forward(x, opts)

describe('a wrong argument is refused by name, before any work', () => {
  const cases: [
    what: string,
    call: () => unknown,
    argument: string,
    expected: RegExp,
    got: RegExp,
  ][] = [
    ['threads: 0', () => Pool.create({ threads: 0 }), 'threads', /1, 256/, /^0$/],
    ['threads: 1.5', () => Pool.create({ threads: 1.5 }), 'threads', /an integer/, /1\.5/],
    ['threads: 257', () => Pool.create({ threads: 257 }), 'threads', /1, 256/, /257/],
    ["threads: '2'", () => Pool.create({ threads: '2' as Any }), 'threads', /an integer/, /"2"/],
    ['spinMicros: -1', () => Pool.create({ spinMicros: -1 }), 'spinMicros', /0, /, /-1/],
    ['spinMicros: NaN', () => Pool.create({ spinMicros: NaN }), 'spinMicros', /0, /, /NaN/],

    [
      'a missing pool',
      () => Linear.fromInt8({} as Any, int8(), 1, options),
      'pool',
      /a Pool/,
      /Object/,
    ],
    ['float weights', fromInt8(float(12), 1), 'weight', /an Int8Array/, /Float32Array\(12\)/],
    ['a plain array as weight', fromInt8([1, 2], 1), 'weight', /an Int8Array/, /Array/],
    ['a short weight', fromInt8(new Int8Array(11), 1), 'weight', /3 \* 4/, /\(11\)/],
    ['a long weight', fromInt8(new Int8Array(13), 1), 'weight', /3 \* 4/, /\(13\)/],
    ['a detached weight', fromInt8(detached(int8()), 1), 'weight', /3 \* 4/, /\(0\)/],
    ['a short scale', fromInt8(int8(), float(2)), 'scale', /3 elements/, /\(2\)/],
    ['a long scale', fromInt8(int8(), float(4)), 'scale', /3 elements/, /\(4\)/],
    ['a scale in float64', fromInt8(int8(), new Float64Array(3)), 'scale', /Float32/, /Float64/],
    ['a scale of NaN', fromInt8(int8(), NaN), 'scale', /finite/, /NaN/],
    [
      'a scale with an infinity',
      fromInt8(int8(), float(3).fill(Infinity, 2)),
      'scale',
      /finite/,
      /index 2/,
    ],
    ['a missing scale', fromInt8(int8(), undefined), 'scale', /Float32Array/, /undefined/],
    ['a short bias', fromInt8(int8(), 1, { ...options, bias: float(2) }), 'bias', /3 el/, /\(2\)/],
    [
      'a bias with NaN',
      fromInt8(int8(), 1, { ...options, bias: float(3).fill(NaN) }),
      'bias',
      /finite/,
      /NaN/,
    ],
    [
      'K of 0',
      fromInt8(int8(), 1, { inFeatures: 0, outFeatures: 3 }),
      'inFeatures',
      /1, 131072/,
      /^0$/,
    ],
    [
      'K of 131073',
      fromInt8(new Int8Array(131073), 1, { inFeatures: 131073, outFeatures: 1 }),
      'inFeatures',
      /131072/,
      /131073/,
    ],
    [
      'K of 2.5',
      fromInt8(int8(), 1, { inFeatures: 2.5, outFeatures: 3 }),
      'inFeatures',
      /integer/,
      /2\.5/,
    ],
    [
      'a missing outFeatures',
      fromInt8(int8(), 1, { inFeatures: 4 }),
      'outFeatures',
      /integer/,
      /undefined/,
    ],

    ['a short float weight', fromFloat(float(11)), 'weight', /3 \* 4/, /\(11\)/],
    [
      'a float weight in float64',
      fromFloat(new Float64Array(12)),
      'weight',
      /Float32/,
      /Float64Array/,
    ],
    ['bare bfloat16 bits', fromFloat(new Uint16Array(12)), 'weight', /Tensor/, /Uint16Array/],
    ['an int8 tensor as float weight', fromFloat(matrix(3, 4)), 'weight', /float32/, /int8/],

    ['x of the wrong length', forward(float(6)), 'x', /multiple of 4/, /Float32Array\(6\)/],
    ['x in float64', forward(new Float64Array(4)), 'x', /a Float32Array/, /Float64Array\(4\)/],
    ['x of int8', forward(tensor('int8', Int8Array, [1, 4])), 'x', /float32/, /int8/],
    ['bare bfloat16 bits as x', forward(new Uint16Array(4)), 'x', /Tensor/, /Uint16Array/],
    ['a missing x', forward(undefined), 'x', /a Float32Array/, /undefined/],
    ['a null x', forward(null), 'x', /a Float32Array/, /null/],
    [
      'x with a wrong last dimension',
      forward(tensor('float32', Float32Array, [4, 1])),
      'x',
      /last dimension of 4/,
      /\[4, 1\]/,
    ],
    [
      'x without dimensions',
      forward(new Tensor('float32', float(1), [])),
      'x',
      /last dimension of 4/,
      /\[\]/,
    ],
    ['a detached x', forward(detached(float())), 'x', /attached/, /detached/],
    [
      'a detached tensor',
      forward(
        (() => {
          const x = tensor('float32', Float32Array, [1, 4])
          detached(x.data)
          return x
        })(),
      ),
      'x',
      /attached/,
      /detached/,
    ],
    ['a short out', forward(float(), { out: float(2) }), 'out', /3 elements/, /\(2\)/],
    [
      'a tensor as out for a plain array',
      forward(float(), { out: tensor('float32', Float32Array, [3]) }),
      'out',
      /Float32Array/,
      /Tensor/,
    ],
    [
      'an out of another dtype',
      forward(tensor('float32', Float32Array, [1, 4]), {
        out: tensor('bfloat16', Uint16Array, [1, 3]),
      }),
      'out',
      /float32/,
      /bfloat16/,
    ],
    [
      'an out that overlaps x',
      () => {
        const both = float(7)
        return linear.forward(both.subarray(0, 4), { out: both.subarray(3, 6) })
      },
      'out',
      /does not overlap x/,
      /overlaps x/,
    ],
    ['an unknown precision', forward(float(), { precision: 'int4' }), 'precision', /int8/, /int4/],
    [
      'a signal that is not an AbortSignal',
      forward(float(), { signal: {} }),
      'signal',
      /an AbortSignal/,
      /Object/,
    ],

    [
      'quantizeWeight of a short weight',
      () => quantizeWeight(float(11), options),
      'w',
      /3 \* 4/,
      /\(11\)/,
    ],
    [
      'quantizeWeight with NaN',
      () => quantizeWeight(float(12).fill(NaN, 9), options),
      'w',
      /finite/,
      /channel 2/,
    ],
    ['quantizeRows of int8', () => quantizeRows(matrix(1, 4) as Any), 'x', /float32/, /int8/],
    ['quantizeRows of half a row', () => quantizeRows(float(6), 4), 'x', /multiple of 4/, /\(6\)/],

    [
      'packSdot with K of 6',
      () => packSdot(new Int8Array(24), 6, 4),
      'inFeatures',
      /multiple of 4/,
      /6/,
    ],
    [
      'packSdot with N of 2',
      () => packSdot(new Int8Array(8), 4, 2),
      'outFeatures',
      /multiple of 4/,
      /2/,
    ],
    [
      'packSdot of a short weight',
      () => packSdot(new Int8Array(15), 4, 4),
      'weight',
      /4 \* 4/,
      /\(15\)/,
    ],
    [
      'unpackSdot of a long weight',
      () => unpackSdot(new Int8Array(17), 4, 4),
      'packed',
      /4 \* 4/,
      /\(17\)/,
    ],
    [
      'packSdot of bytes',
      () => packSdot(new Uint8Array(16) as Any, 4, 4),
      'weight',
      /Int8Array/,
      /Uint8Array/,
    ],

    [
      'a tensor of an unknown type',
      () => new Tensor('float64' as Any, new Float64Array(1) as Any, [1]),
      'type',
      /float32/,
      /float64/,
    ],
    [
      'a tensor of other data',
      () => new Tensor('int8', float(1) as Any, [1]),
      'data',
      /Int8Array/,
      /Float32Array/,
    ],
    [
      'a tensor of another size',
      () => new Tensor('int8', new Int8Array(5), [2, 3]),
      'data',
      /6 elements/,
      /\(5\)/,
    ],
    [
      'a tensor of negative dims',
      () => new Tensor('int8', new Int8Array(1), [-1, -1]),
      'dims',
      /non-negative/,
      /-1/,
    ],
    [
      'a tensor without dims',
      () => new Tensor('int8', new Int8Array(1), 1 as Any),
      'dims',
      /an array/,
      /1/,
    ],
    [
      'pool.tensor of an unknown type',
      () => pool.tensor('float64' as Any, [1]),
      'type',
      /float32/,
      /float64/,
    ],
    [
      'pool.tensor of a negative size',
      () => pool.tensor('float32', [-1]),
      'dims',
      /non-negative/,
      /-1/,
    ],
    [
      'pool.tensor of half an element',
      () => pool.tensor('float32', [0.5]),
      'dims',
      /integers/,
      /0\.5/,
    ],
    [
      'pool.tensor without dims',
      () => pool.tensor('float32', undefined as Any),
      'dims',
      /array/,
      /undefined/,
    ],
    [
      'pool.tensor above the maximum size',
      () => pool.tensor('float32', [2 ** 40]),
      'dims',
      /./,
      /1099511627776/,
    ],

    [
      'intMatmul without a pool',
      () => intMatmul({} as Any, matrix(2, 2), matrix(2, 2)),
      'pool',
      /a Pool/,
      /Object/,
    ],
    [
      'intMatmul of a vector',
      () => intMatmul(pool, tensor('int8', Int8Array, [4]) as Any, matrix(4, 1)),
      'a',
      /two dimensions/,
      /\[4\]/,
    ],
    [
      'intMatmul of floats',
      () => intMatmul(pool, matrix(1, 4), tensor('float32', Float32Array, [4, 1]) as Any),
      'b',
      /int8/,
      /float32/,
    ],
    [
      'intMatmul of unequal row lengths',
      () => intMatmul(pool, matrix(2, 3), matrix(4, 2)),
      'b',
      /3 rows/,
      /\[4, 2\]/,
    ],
    [
      'intMatmul with K of 131072',
      () => intMatmul(pool, matrix(1, 131072), matrix(131072, 1)),
      'a.dims[1]',
      /131071/,
      /131072/,
    ],
    [
      'intMatmul of a detached a',
      () => {
        const a = matrix(2, 2)
        detached(a.data)
        return intMatmul(pool, a, matrix(2, 2))
      },
      'a',
      /attached/,
      /detached/,
    ],
    [
      'intMatmul of a detached b',
      () => {
        const b = matrix(2, 2)
        detached(b.data)
        return intMatmul(pool, matrix(2, 2), b)
      },
      'b',
      /attached/,
      /detached/,
    ],

    ['an empty group', () => new LinearGroup([]), 'linears', /1 to 15/, /Array/],
    [
      'a group of others',
      () => new LinearGroup([linear, {} as Any]),
      'linears[1]',
      /a Linear/,
      /Object/,
    ],
    [
      'a group with too few places',
      () => new LinearGroup([linear]).forward(float(), { out: [] }),
      'out',
      /length 1/,
      /0/,
    ],
    [
      'an MLP that does not fit',
      () => new FusedMlp(linear, linear, linear),
      'down',
      /inFeatures 3/,
      /4/,
    ],
    [
      'an unknown activation',
      () => applyGate('tanh' as Any, float(), float()),
      'activation',
      /silu/,
      /tanh/,
    ],
    [
      'a gate of two lengths',
      () => applyGate('silu', float(4), float(3)),
      'up',
      /4 elements/,
      /\(3\)/,
    ],
    [
      'a gate of two types',
      () => applyGate('silu', float(4), new Uint16Array(4) as Any),
      'up',
      /Float32Array/,
      /Uint16Array/,
    ],
  ]

  it.each(cases)('%s', async (_, call, argument, expected, got) => {
    const error = (await refusal(call)) as ArgumentError
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error).toBeInstanceOf(DotpoolError)
    expect(error.code).toBe('ERR_DOTPOOL_ARGUMENT')
    expect(error.name).toBe('ArgumentError')
    expect(error.argument).toBe(argument)
    expect(error.expected).toMatch(expected)
    expect(error.got).toMatch(got)
    expect(error.message).toBe(`${argument}: expected ${error.expected}, got ${error.got}`)
  })

  it('forwardSync refuses what forward refuses', async () => {
    for (const x of [float(6), undefined, new Float64Array(4)]) {
      const error = await refusal(() => linear.forwardSync(x as Any))
      expect(error).toEqual(await refusal(forward(x)))
    }
  })
})

describe('a float weight that contains NaN or an infinity', () => {
  it.each([NaN, Infinity, -Infinity])('is refused: %s', async (value) => {
    for (const channel of [0, 64, 130]) {
      const weight = new Float32Array(131 * 5).fill(1)
      weight[channel * 5 + 4] = value
      const shape = { inFeatures: 5, outFeatures: 131 }
      const error = await Linear.fromFloat(pool, weight, shape).catch((error) => error)
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error.argument).toBe('weight')
      expect(error.got).toMatch(`channel ${channel}`)
    }
  })
})

describe('after disposal and close', () => {
  it('a disposed Linear throws a DisposedError; its calls in flight finish', async () => {
    const layer = await Linear.fromInt8(pool, int8().fill(1), 1, options)
    const last = layer.forward(float().fill(127))
    layer.dispose()
    expect(await last).toEqual(float(3).fill(4 * 127))
    for (const use of [
      () => layer.forward(float()),
      () => layer.forwardSync(float()),
      () => layer.tiles,
    ]) {
      const error = await refusal(use)
      expect(error).toBeInstanceOf(DisposedError)
      expect(error).toMatchObject({ code: 'ERR_DOTPOOL_DISPOSED' })
    }
    layer.dispose()
  })

  it('`using` disposes of a Linear', async () => {
    const layer = await Linear.fromInt8(pool, int8(), 1, options)
    {
      using used = layer
      expect(used.tiles.length).toBe(256)
    }
    await expect(layer.forward(float())).rejects.toThrow(DisposedError)
  })

  it('a closed pool throws a PoolClosedError', async () => {
    const closed = await Pool.create({ threads: 1 })
    const layer = await Linear.fromInt8(closed, int8(), 1, options)
    await closed.close()
    for (const use of [
      () => layer.forward(float()),
      () => layer.forwardSync(float()),
      () => layer.forward(float(), { precision: 'float32' }),
      () => new LinearGroup([layer]).forward(float()),
      () => Linear.fromInt8(closed, int8(), 1, options),
      () => Linear.fromFloat(closed, float(12), options),
      () => intMatmul(closed, matrix(2, 2), matrix(2, 2)),
    ]) {
      const error = await refusal(use)
      expect(error).toBeInstanceOf(PoolClosedError)
      expect(error).toMatchObject({ code: 'ERR_DOTPOOL_POOL_CLOSED' })
    }
  })
})

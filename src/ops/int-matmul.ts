import { ArgumentError, checkInteger } from '../errors.js'
import { paddedN, tileBytes } from '../layouts/tiles.js'
import { OpKind } from '../native/layout.js'
import type { Op, PackedWeight, Rows } from '../native/op.js'
import { type AbortOptions, abortOptions, checkOptions } from '../options.js'
import { CallMemory, viewAs } from '../pool/memory.js'
import { checkPool, type Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import { describeTensor, elementsOf, Tensor } from '../tensor.js'

/** 131071 * 128 * 128 < 2^31: up to here int32 sums cannot overflow. */
const MAX_INNER = 131071

/**
 * y[m, n] = sum_k a[m, k] * b[k, n], exact. Runs as one region that packs b into tiles and a into the kernels'
 * activation format, and multiplies them.
 *
 * @param a int8 [M, K], K <= 131071
 * @param b int8 [K, N]
 * @returns int32 [M, N]
 * @throws ArgumentError if types or shapes do not fit; the signal's reason; OutOfMemoryError; what the pool throws
 */
export async function intMatmul(
  pool: Pool,
  a: Tensor<'int8'>,
  b: Tensor<'int8'>,
  options: AbortOptions = {},
): Promise<Tensor<'int32'>> {
  checkPool(pool)
  const { signal } = checkOptions(options, abortOptions)
  const { elements: left, rows: m, columns: k } = readMatrix('a', a)
  const { elements: right, rows: inner, columns: n } = readMatrix('b', b)
  checkInteger('a.dims[1]', k, 1, MAX_INNER)
  if (inner !== k) throw new ArgumentError('b', `${k} rows, one for each column of a`, String(b))
  const call = new IntMatmul(pool, left, right, m, k, n)
  if (m * n > 0) await pool.run(call, signal)
  return new Tensor('int32', call.result(), [m, n])
}

/** The elements of an int8 tensor [rows, columns]. */
interface Matrix {
  readonly elements: Int8Array
  readonly rows: number
  readonly columns: number
}

function readMatrix(argument: string, value: unknown): Matrix {
  if (value instanceof Tensor && value.dims.length === 2) {
    const elements = elementsOf(argument, value, ['int8'])
    if (elements !== undefined) return { elements, rows: value.dims[0], columns: value.dims[1] }
  }
  throw new ArgumentError(argument, 'an int8 Tensor of two dimensions', describeTensor(value))
}

class IntMatmul implements Program {
  readonly #pool: Pool
  readonly #memory: CallMemory
  readonly #a: Int8Array
  readonly #b: Int8Array
  readonly #y: Int32Array
  readonly #m: number
  readonly #k: number
  readonly #n: number

  constructor(pool: Pool, a: Int8Array, b: Int8Array, m: number, k: number, n: number) {
    this.#pool = pool
    this.#m = m
    this.#k = k
    this.#n = n
    this.#memory = new CallMemory(pool.memory)
    this.#a = this.#memory.place('int8', a)
    this.#b = this.#memory.place('int8', b)
    this.#y = pool.memory.result('int32', m * n)
  }

  result(): Int32Array {
    return this.#pool.memory.unshare(this.#y)
  }

  ops(): Op[] {
    const memory = this.#memory
    const [m, k, n] = [this.#m, this.#k, this.#n]
    const weight = this.#packed()
    const { tiles, colSum } = weight
    const rows: Rows = {
      x: this.#a,
      type: 'int8',
      u: null,
      activation: 'none',
      k,
      outliers: 0,
      xq: memory.acquire(m * this.#pool.rowStride(k)),
      xScale: null,
    }
    return [
      {
        kind: OpKind.packTransposed,
        w: this.#b,
        wType: 'int8',
        multipliers: null,
        tiles,
        colSum,
        scale: null,
        n,
        k,
      },
      { kind: OpKind.quantize, m, ...rows },
      { kind: OpKind.gemm, m, ...rows, weight, y: this.#y, yType: 'int32' },
    ]
  }

  /** Memory for b, packed. */
  #packed(): PackedWeight {
    const [inFeatures, outFeatures] = [this.#k, this.#n]
    const [bytes, channels] = [tileBytes(outFeatures, inFeatures), paddedN(outFeatures)]
    const tiles = viewAs('int8', this.#memory.acquire(bytes), bytes)
    const colSum = viewAs('int32', this.#memory.acquire(channels * 4), channels)
    const [scale, bias] = [undefined, undefined]
    const addressOf = (view: ArrayBufferView) => this.#pool.addressOf(view)
    const addresses = { tiles: addressOf(tiles), colSum: addressOf(colSum), scale: 0, bias: 0 }
    return { type: 'int8', inFeatures, outFeatures, tiles, colSum, scale, bias, addresses }
  }

  release(): void {
    this.#memory.release()
  }
}

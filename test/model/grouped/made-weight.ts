import { bf16ToFloat32, float32ToBf16 } from '#src/bf16.js'
import { f16ToFloat } from '#src/f16.js'
import { randomNumbers } from '../../support/random.js'
import type { StoredTensor } from '../support.js'

/** A weight [N, K] in four bits as any tool has it: w[n, k] = (u[n, k] - zero[n, g]) * scale[n, g], g = groupOf[k]. */
export interface MadeWeight {
  N: number
  K: number
  groups: number
  groupOf: number[]
  /** [N][K], 0 to 15 */
  u: number[][]
  /** [N][G], 0 to 15 */
  zeros: number[][]
  /** [N][G], of 16 bits */
  scales: number[][]
}

export interface WeightKind {
  /** Groups of so many consecutive inputs; undefined for one of all. */
  size?: number | undefined
  /** All zero points are 8. */
  symmetric?: boolean
  /** Inputs are in groups at random. */
  ordered?: boolean
  /** Scales are multiples, 1 to 15, of one of the channel. */
  multiples?: boolean
  /** Scales are of either sign. */
  signed?: boolean
  dtype?: 'F16' | 'BF16'
  seed: number
}

export function makeWeight(N: number, K: number, kind: WeightKind): MadeWeight {
  const random = randomNumbers(kind.seed)
  const integer = (below: number) => Math.floor(random() * below)
  const sign = () => (kind.signed && random() < 0.5 ? -1 : 1)
  const size = kind.size ?? K
  const groups = Math.ceil(K / size)
  const table = (columns: number, value: (n: number) => number) =>
    Array.from({ length: N }, (_, n) => Array.from({ length: columns }, () => value(n)))
  const unit = Array.from({ length: N }, () => scaleBits(kind.dtype, random))
  return {
    N,
    K,
    groups,
    groupOf: Array.from({ length: K }, (_, k) =>
      kind.ordered ? integer(groups) : Math.floor(k / size),
    ),
    u: table(K, () => integer(16)),
    zeros: table(groups, () => (kind.symmetric ? 8 : integer(16))),
    // a product with an integer below 16 has 16 bits, because the last ones are zero
    scales: table(groups, (n) =>
      kind.multiples
        ? sign() * unit[n] * (1 + integer(15))
        : sign() * widen(kind.dtype, scaleBits16(kind.dtype, random)),
    ),
  }
}

/** w, float32 [N * K] */
export function floatsOfMade({ N, K, u, zeros, scales, groupOf }: MadeWeight): Float32Array {
  const w = new Float32Array(N * K)
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      w[n * K + k] = (u[n][k] - zeros[n][groupOf[k]]) * scales[n][groupOf[k]]
    }
  }
  return w
}

/** Between 1/128 and 1/32. */
function scaleBits16(dtype: WeightKind['dtype'], random: () => number): number {
  // exponents 2^-7 and 2^-6, and any fraction
  return dtype === 'BF16'
    ? 0x3c00 + Math.floor(random() * 0x100)
    : 0x2000 + Math.floor(random() * 0x800)
}

/** The same with the last bits zero. */
function scaleBits(dtype: WeightKind['dtype'], random: () => number): number {
  return widen(dtype, scaleBits16(dtype, random) & ~15)
}

function widen(dtype: WeightKind['dtype'], bits: number): number {
  return dtype === 'BF16' ? bf16ToFloat32(Uint16Array.of(bits))[0] : f16ToFloat(bits)
}

/** A tensor of floats that 16 bits hold exactly. */
export function halves(dtype: 'F16' | 'BF16', rows: number[][]): StoredTensor {
  const values = Float32Array.from(rows.flat())
  const bits = dtype === 'BF16' ? float32ToBf16(values) : Uint16Array.from(values, f16Bits)
  return { dtype, shape: [rows.length, rows[0].length], data: new Uint8Array(bits.buffer) }
}

/** Of a normal number that float16 holds exactly. */
function f16Bits(value: number): number {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer)
  return ((bits >>> 16) & 0x8000) | ((((bits >>> 23) & 255) - 112) << 10) | ((bits >>> 13) & 1023)
}

export function int32(shape: number[], values: readonly number[]): StoredTensor {
  return { dtype: 'I32', shape, data: new Uint8Array(Int32Array.from(values).buffer) }
}

/**
 * Packs 8 nibbles of each row into an int32.
 *
 * @param order which nibble of the eight each place holds, the lowest first
 */
export function packColumns(rows: number[][], order = [0, 1, 2, 3, 4, 5, 6, 7]): StoredTensor {
  const words = Math.ceil(rows[0].length / 8)
  const values = rows.flatMap((row) =>
    Array.from({ length: words }, (_, word) =>
      order.reduce((bits, i, place) => bits + (row[word * 8 + i] ?? 0) * 2 ** (4 * place), 0),
    ),
  )
  return int32(
    [rows.length, words],
    values.map((bits) => bits | 0),
  )
}

export function transposed<T>(rows: T[][]): T[][] {
  return rows[0].map((_, column) => rows.map((row) => row[column]))
}

/** The same, as 8 rows an int32. */
export function packRows(rows: number[][]): StoredTensor {
  const packed = packColumns(transposed(rows))
  const [columns, words] = packed.shape
  const values = new Int32Array(packed.data.buffer)
  const moved = Array.from(
    values,
    (_, i) => values[(i % columns) * words + Math.floor(i / columns)],
  )
  return int32([words, columns], moved)
}

import { ArgumentError, describe } from '../errors.js'
import { NR, paddedK, paddedN, tileBytes, unpackTiles } from '../layouts/tiles.js'
import { lazily } from '../lazily.js'
import { OpKind } from '../native/layout.js'
import type { Op } from '../native/op.js'
import { CallMemory, type Placed } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import { type Int4Weight, int4Strides } from '../reference/int4.js'
import {
  decodeInt4Tiles,
  int4BlockBytes,
  int4TileBytes,
  unpackInt4,
} from '../reference/int4-tiles.js'
import { notFinite, type WeightShape } from '../reference/quantize.js'
import { checkLength } from '../tensor.js'
import { viewOf } from '../views.js'

/** How much of the source one program packs, bytes; the event loop runs between programs. */
const CHUNK_BYTES = 4 << 20

/** Weights: int8, or float32 or bfloat16 bits, which are quantised while they are packed. */
export type WeightArray = Int8Array | Float32Array | Uint16Array

/** A source of weights [N, K], which are read some output channels at a time. */
export interface WeightSource {
  readonly bytesPerElement: number
  /**
   * Reads the channels [first, last), row-major. Called in order; the next chunk is read while the last one is packed.
   * An array stays valid until the second next call.
   */
  read(first: number, last: number): WeightArray | Promise<WeightArray>
}

/** A source of weights of four bits [N, K], which are read some output channels at a time as a {@link WeightSource} is. */
export interface Int4Source {
  read(first: number, last: number): Int4Weight | Promise<Int4Weight>
}

/**
 * The source of a weight [N, K] in memory. Throws an ArgumentError if its buffer is detached or shrinks meanwhile.
 *
 * @param weight a view that the caller has no reference to
 */
export function wholeWeight(weight: WeightArray, inFeatures: number): WeightSource {
  const { length } = weight
  return {
    bytesPerElement: weight.BYTES_PER_ELEMENT,
    read: (first, last) => {
      checkLength('weight', weight, length)
      return weight.subarray(first * inFeatures, last * inFeatures)
    },
  }
}

/** The source of weights of four bits in memory; see {@link wholeWeight}. */
export function wholeInt4(
  { nibbles, multipliers }: Int4Weight,
  { inFeatures }: WeightShape,
): Int4Source {
  const stride = int4Strides(inFeatures)
  const lengths = [nibbles.length, multipliers.length]
  return {
    read: (first, last) => {
      checkLength('nibbles', nibbles, lengths[0])
      checkLength('multipliers', multipliers, lengths[1])
      return {
        nibbles: nibbles.subarray(first * stride.nibbles, last * stride.nibbles),
        multipliers: multipliers.subarray(first * stride.multipliers, last * stride.multipliers),
      }
    },
  }
}

/** What a Linear is made of besides its weights, and how it is made. */
export interface LinearOptions extends WeightShape {
  /** float32 [N], finite. */
  bias?: Float32Array | undefined
  /**
   * The most elements of a row of activations that are kept exact, in 15 bits, while the others set the quantisation
   * step: language models have such outlier features. At most 15. 0, the default, quantises every row by its largest
   * element.
   */
  outliers?: number | undefined
  /** Stops the packing of the weights; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called after every chunk with the number of output channels that are packed. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** How weights are stored: in eight bits each, or in four and a multiplier for each output channel and 32 k. */
export type WeightType = 'int8' | 'int4'

export const weightTypes: readonly WeightType[] = ['int8', 'int4']

function bytesOfTiles(type: WeightType, { inFeatures, outFeatures }: WeightShape): number {
  return (type === 'int4' ? int4TileBytes : tileBytes)(outFeatures, inFeatures)
}

/** Sizes of what a {@link Weight} consists of: of its tiles in bytes, of all else in channels. */
export function weightParts(
  shape: WeightShape,
  type: WeightType,
): { tiles: number; channels: number } {
  return { tiles: bytesOfTiles(type, shape), channels: paddedN(shape.outFeatures) }
}

/** The memory of a {@link Weight}, bytes. */
export function weightBytes(shape: WeightShape, bias: boolean, type: WeightType = 'int8'): number {
  const { tiles, channels } = weightParts(shape, type)
  return tiles + (bias ? 3 : 2) * 4 * channels
}

/** The arrays of a {@link Weight}. */
export interface WeightArrays {
  readonly tiles: Placed<Int8Array>
  readonly colSum: Placed<Int32Array>
  readonly scale: Placed<Float32Array>
  readonly bias: Placed<Float32Array> | undefined
}

function newArrays(pool: Pool, { bias, ...shape }: LinearOptions, type: WeightType): WeightArrays {
  const { tiles, channels } = weightParts(shape, type)
  const place = <T extends 'int8' | 'int32' | 'float32'>(type: T, length: number) => {
    const array = pool.memory.array(type, length)
    return { address: pool.addressOf(array), array }
  }
  const arrays = {
    tiles: place('int8', tiles),
    colSum: place('int32', channels),
    scale: place('float32', channels),
    bias: bias && place('float32', channels),
  }
  if (bias !== undefined) arrays.bias?.array.set(bias)
  return arrays
}

/** Packed weights, and the scales and biases of the epilogue, in shared memory. Read-only once packed. */
export class Weight {
  readonly type: WeightType
  readonly inFeatures: number
  readonly outFeatures: number
  /** The most outliers of a row of activations. */
  readonly outliers: number
  /** int8, 64c4 tiles; or the bytes of int4 ones, 64c8. */
  declare readonly tiles: Int8Array
  /** int32 [N, padded to 64]: sum over k of w[n, k]; of int4 weights, of the int8 ones that they stand for. */
  declare readonly colSum: Int32Array
  /** float32 [N, padded to 64]. */
  declare readonly scale: Float32Array
  /** float32 [N, padded to 64]. */
  declare readonly bias: Float32Array | undefined
  /** Their addresses for C; 0 without a bias. */
  readonly addresses: { tiles: number; colSum: number; scale: number; bias: number }

  /**
   * Allocates memory for weights of this shape.
   *
   * @param arrays instead, if they are packed already
   */
  constructor(
    pool: Pool,
    options: LinearOptions,
    type: WeightType = 'int8',
    arrays: WeightArrays = newArrays(pool, options, type),
  ) {
    this.type = type
    this.inFeatures = options.inFeatures
    this.outFeatures = options.outFeatures
    this.outliers = options.outliers ?? 0
    const { tiles, colSum, scale, bias } = arrays
    lazily(this, 'tiles', () => tiles.array)
    lazily(this, 'colSum', () => colSum.array)
    lazily(this, 'scale', () => scale.array)
    lazily(this, 'bias', () => bias?.array)
    this.addresses = {
      tiles: tiles.address,
      colSum: colSum.address,
      scale: scale.address,
      bias: bias?.address ?? 0,
    }
  }

  /** The size of the packed weights, bytes. */
  get byteLength(): number {
    return bytesOfTiles(this.type, this)
  }

  /** The weights of the channels [first, last): int8 [last - first, K], row-major, whatever they are stored as. */
  unpack(first: number, last: number): Int8Array {
    const { type, tiles, inFeatures: K } = this
    if (type === 'int8') return unpackTiles(tiles, K, first, last)
    const w8 = new Int8Array((last - first) * K)
    for (let n = first; n < last; n++) {
      w8.set(decodeInt4Tiles(tiles, n, K).subarray(0, K), (n - first) * K)
    }
    return w8
  }

  /** The channels [first, last) of int4 weights, as they were packed. */
  unpackInt4(first: number, last: number): Int4Weight {
    return unpackInt4(this.tiles, this, first, last)
  }

  /**
   * Packs `source` [N, K] into the tiles, on the pool, a few megabytes at a time. Quantises a float source, and writes
   * its scales.
   *
   * @throws ArgumentError if a float source contains a NaN or an infinity, or has become shorter; what the source throws
   */
  async pack(pool: Pool, source: WeightSource, options: PackOptions): Promise<void> {
    const { inFeatures: K } = this
    const read = async (first: number, last: number) => {
      const weight = await source.read(first, last)
      // its buffer may have shrunk since it was read
      return () => {
        checkLength('weight', weight, (last - first) * K)
        return new PackProgram(pool, this, weight, null, first, last)
      }
    }
    await this.#packChunks(pool, K * source.bytesPerElement, read, options)
  }

  /**
   * Packs weights of four bits, which are valid, in the same way.
   *
   * @throws ArgumentError if the source has become shorter; what the source throws
   */
  async packInt4(pool: Pool, source: Int4Source, options: PackOptions): Promise<void> {
    const stride = int4Strides(this.inFeatures)
    const read = async (first: number, last: number) => {
      const { nibbles, multipliers } = await source.read(first, last)
      return () => {
        checkLength('nibbles', nibbles, (last - first) * stride.nibbles)
        checkLength('multipliers', multipliers, (last - first) * stride.multipliers)
        const bytes = new Int8Array(nibbles.buffer, nibbles.byteOffset, nibbles.length)
        return new PackProgram(pool, this, bytes, multipliers, first, last)
      }
    }
    await this.#packChunks(pool, stride.nibbles + stride.multipliers, read, options)
  }

  /** Runs the programs of one chunk after the other, while the next one is read. */
  async #packChunks(
    pool: Pool,
    bytesPerChannel: number,
    read: (first: number, last: number) => Promise<() => PackProgram>,
    { signal, onProgress }: PackOptions,
  ): Promise<void> {
    const N = this.outFeatures
    const rows = Math.max(1, Math.floor(CHUNK_BYTES / bytesPerChannel / NR)) * NR
    let next = read(0, Math.min(rows, N))
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const makeProgram = await next
      const program = makeProgram()
      if (last < N) next = read(last, Math.min(last + rows, N))
      // it is awaited in the next turn of the loop
      next.catch(() => {})
      const fault = await pool.run(program, signal)
      if (fault > 0) throw notFinite('weight', first + fault - 1)
      onProgress?.(last, N)
    }
  }
}

type PackOptions = Pick<LinearOptions, 'signal' | 'onProgress'>

function typeOf(source: WeightArray): 'int8' | 'float32' | 'bfloat16' {
  if (source instanceof Int8Array) return 'int8'
  return source instanceof Float32Array ? 'float32' : 'bfloat16'
}

/** tiles, colSum (, scale) = pack(w[first .. last, K]); w: nibbles where there are multipliers */
class PackProgram implements Program {
  readonly #weight: Weight
  readonly #source: WeightArray
  readonly #multipliers: Int8Array | null
  readonly #memory: CallMemory
  readonly #first: number
  readonly #last: number

  constructor(
    pool: Pool,
    weight: Weight,
    source: WeightArray,
    multipliers: Int8Array | null,
    first: number,
    last: number,
  ) {
    this.#weight = weight
    this.#memory = new CallMemory(pool.memory)
    this.#source = this.#memory.place(typeOf(source), source) as WeightArray
    this.#multipliers = multipliers && this.#memory.place('int8', multipliers)
    this.#first = first
    this.#last = last
  }

  ops(): Op[] {
    const { type, tiles, colSum, scale, inFeatures: k } = this.#weight
    const wType = typeOf(this.#source)
    const blockBytes = type === 'int4' ? int4BlockBytes(k) : NR * paddedK(k)
    const int8Kind = wType === 'int8' ? OpKind.pack : OpKind.quantizePack
    return [
      {
        kind: type === 'int4' ? OpKind.packS4 : int8Kind,
        w: this.#source,
        wType: type === 'int4' ? type : wType,
        multipliers: this.#multipliers,
        tiles: tiles.subarray((this.#first / NR) * blockBytes),
        colSum: colSum.subarray(this.#first),
        scale: scale.subarray(this.#first),
        n: this.#last - this.#first,
        k,
      },
    ]
  }

  release(): void {
    this.#memory.release()
  }
}

/** Copies float32 [N]; throws an ArgumentError unless all are finite. */
export function copyChannels(
  argument: string,
  values: unknown,
  { outFeatures }: WeightShape,
): Float32Array {
  const copy = viewOf(Float32Array, values)?.slice()
  if (copy?.length !== outFeatures) {
    throw new ArgumentError(argument, `a Float32Array of ${outFeatures} elements`, describe(values))
  }
  const bad = copy.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) throw new ArgumentError(argument, 'finite values', `${copy[bad]} at index ${bad}`)
  return copy
}

/** Throws an {@link ArgumentError} unless `weight` has N * K elements. */
export function checkWeightLength(
  weight: WeightArray,
  { inFeatures, outFeatures }: WeightShape,
): void {
  if (weight.length !== inFeatures * outFeatures) {
    throw new ArgumentError('weight', `${outFeatures} * ${inFeatures} elements`, describe(weight))
  }
}

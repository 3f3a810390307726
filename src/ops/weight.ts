import { ArgumentError, describe } from '../errors.js'
import { NR, paddedK, paddedN, tileBytes } from '../layouts/tiles.js'
import { OpKind } from '../native/layout.js'
import type { Op } from '../native/op.js'
import { CallMemory } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
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

/** The memory of a {@link Weight}, bytes. */
export function weightBytes({ inFeatures, outFeatures }: WeightShape, bias: boolean): number {
  const perChannel = bias ? 3 : 2
  return tileBytes(outFeatures, inFeatures) + perChannel * 4 * paddedN(outFeatures)
}

/** Packed weights, and the scales and biases of the epilogue, in shared memory. Read-only once packed. */
export class Weight {
  readonly inFeatures: number
  readonly outFeatures: number
  /** The most outliers of a row of activations. */
  readonly outliers: number
  /** int8, 64c4 tiles. */
  readonly tiles: Int8Array
  /** int32 [N, padded to 64]: sum over k of w[n, k]. */
  readonly colSum: Int32Array
  /** float32 [N, padded to 64]. */
  readonly scale: Float32Array
  /** float32 [N, padded to 64]. */
  readonly bias: Float32Array | undefined
  /** Their addresses for C; 0 without a bias. */
  readonly addresses: { tiles: number; colSum: number; scale: number; bias: number }

  /** Allocates memory for weights of this shape. */
  constructor(pool: Pool, { inFeatures, outFeatures, bias, outliers = 0 }: LinearOptions) {
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    this.outliers = outliers
    this.tiles = pool.memory.array('int8', tileBytes(outFeatures, inFeatures))
    this.colSum = pool.memory.array('int32', paddedN(outFeatures))
    this.scale = pool.memory.array('float32', paddedN(outFeatures))
    if (bias !== undefined) {
      this.bias = pool.memory.array('float32', paddedN(outFeatures))
      this.bias.set(bias)
    }
    this.addresses = {
      tiles: pool.addressOf(this.tiles),
      colSum: pool.addressOf(this.colSum),
      scale: pool.addressOf(this.scale),
      bias: this.bias === undefined ? 0 : pool.addressOf(this.bias),
    }
  }

  /** The size of the packed weights, bytes. */
  get byteLength(): number {
    return this.tiles.byteLength
  }

  /**
   * Packs `source` [N, K] into the tiles, on the pool, a few megabytes at a time. Quantises a float source, and writes
   * its scales.
   *
   * @throws ArgumentError if a float source contains a NaN or an infinity, or has become shorter; what the source throws
   */
  async pack(
    pool: Pool,
    source: WeightSource,
    { signal, onProgress }: Pick<LinearOptions, 'signal' | 'onProgress'>,
  ): Promise<void> {
    const { inFeatures: K, outFeatures: N } = this
    const rows = Math.max(1, Math.floor(CHUNK_BYTES / (K * source.bytesPerElement) / NR)) * NR
    const read = async (first: number) => await source.read(first, Math.min(first + rows, N))
    let next = read(0)
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const chunk = await next
      // its buffer may have shrunk since it was read
      checkLength('weight', chunk, (last - first) * K)
      if (last < N) next = read(last)
      // it is awaited in the next turn of the loop
      next.catch(() => {})
      const fault = await pool.run(new PackProgram(pool, this, chunk, first, last), signal)
      if (fault > 0) throw notFinite('weight', first + fault - 1)
      onProgress?.(last, N)
    }
  }
}

function typeOf(source: WeightArray): 'int8' | 'float32' | 'bfloat16' {
  if (source instanceof Int8Array) return 'int8'
  return source instanceof Float32Array ? 'float32' : 'bfloat16'
}

/** tiles, colSum (, scale) = pack(w[first .. last, K]) */
class PackProgram implements Program {
  readonly #weight: Weight
  readonly #source: WeightArray
  readonly #memory: CallMemory
  readonly #first: number
  readonly #last: number

  constructor(pool: Pool, weight: Weight, source: WeightArray, first: number, last: number) {
    this.#weight = weight
    this.#memory = new CallMemory(pool.memory)
    this.#source = this.#memory.place(typeOf(source), source) as WeightArray
    this.#first = first
    this.#last = last
  }

  ops(): Op[] {
    const { tiles, colSum, scale, inFeatures: k } = this.#weight
    const wType = typeOf(this.#source)
    return [
      {
        kind: wType === 'int8' ? OpKind.pack : OpKind.quantizePack,
        w: this.#source,
        wType,
        tiles: tiles.subarray(this.#first * paddedK(k)),
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

import { ArgumentError, describe } from '../errors.js'
import { OpKind } from '../native/layout.js'
import { CallMemory } from '../pool/memory.js'
import type { Pool } from '../pool/pool.js'
import type { Op, Program } from '../pool/program.js'
import { checkLength } from '../tensor.js'
import { viewOf } from '../views.js'
import { NR, paddedK, paddedN, tileBytes } from './pack.js'
import { notFinite, type WeightShape } from './quantize.js'

/** How much of the source is packed by one program, bytes: the event loop turns in between. */
const CHUNK = 4 << 20

/** Weights: int8, or float32 or bfloat16 bits that are quantised as they are packed. */
export type WeightArray = Int8Array | Float32Array | Uint16Array

/** Where weights [N, K] come from, some output channels at a time. */
export interface WeightSource {
  readonly bytesPerElement: number
  /**
   * The channels [first, last), row-major. The array is good until the next but one is asked for.
   * Asked for in order, the next ones while the last ones are packed.
   */
  read(first: number, last: number): WeightArray | Promise<WeightArray>
}

/**
 * All of a weight [N, K] that is there already, unless its buffer is detached or shrinks meanwhile.
 *
 * @param weight a view of our own
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

export interface PackOptions {
  signal?: AbortSignal | undefined
  /** Told after every chunk how many of the output channels are packed. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** What a Linear is made of, besides its weights. */
export interface WeightOptions extends WeightShape {
  /** float32 [N], finite. */
  bias?: Float32Array | undefined
  /**
   * The most elements of a row of activations that keep the integers that they need, 15 bits, while the others
   * set the step: outlier features, as language models have them. 0, as by default, quantises every row by its
   * largest element; at most 15.
   */
  outliers?: number | undefined
}

/** Packed weights and what the epilogue needs, all in shared memory and read-only from here on. */
export class Weight {
  readonly inFeatures: number
  readonly outFeatures: number
  /** The most outliers of a row that is multiplied by it. */
  readonly outliers: number
  /** int8, 64c4 tiles. */
  readonly tiles: Int8Array
  /** int32 [N, padded to 64]: sum over k of w[n, k]. */
  readonly colSum: Int32Array
  /** float32 [N, padded to 64]. */
  readonly scale: Float32Array
  /** float32 [N, padded to 64]. */
  readonly bias: Float32Array | undefined
  /** Where C finds them. */
  readonly addresses: { tiles: number; colSum: number; scale: number; bias: number }

  /** Memory for weights of this shape, not packed yet. */
  constructor(pool: Pool, { inFeatures, outFeatures, bias, outliers = 0 }: WeightOptions) {
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

  /** Of the packed weights, bytes. */
  get byteLength(): number {
    return this.tiles.byteLength
  }

  /**
   * Packs `source` [N, K] into the tiles, on the pool, a few megabytes at a time; a float source is
   * quantised on the way and its scales are written.
   *
   * @throws ArgumentError where a float source holds a NaN or an infinity, or is shorter meanwhile; what the
   *   source throws
   */
  async pack(pool: Pool, source: WeightSource, options: PackOptions): Promise<void> {
    const { inFeatures: K, outFeatures: N } = this
    const rows = Math.max(1, Math.floor(CHUNK / (K * source.bytesPerElement) / NR)) * NR
    const read = async (first: number) => await source.read(first, Math.min(first + rows, N))
    let next = read(0)
    for (let first = 0; first < N; first += rows) {
      const last = Math.min(first + rows, N)
      const chunk = await next
      // it may have been read long ago
      checkLength('weight', chunk, (last - first) * K)
      if (last < N) next = read(last)
      // who awaits it comes later
      next.catch(() => {})
      const fault = await pool.run(new PackProgram(pool, this, chunk, first, last), options.signal)
      if (fault > 0) throw notFinite('weight', first + fault - 1)
      options.onProgress?.(last, N)
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
    this.#source = this.#memory.share(typeOf(source), source) as WeightArray
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

/** A copy of float32 [N], all finite. */
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

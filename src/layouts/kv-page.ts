import { PAGE } from '../native/layout.js'

/*
 * A page holds the keys and values of 64 positions, for each layer one head after the other, each:
 *
 *   keys T [64 / 16][D / P][16][P], values T [64 / P][D][P]; for int8 then float32 key scales [64] and
 *   value scales [64]
 *
 * The keys of sixteen positions are interleaved, so that a kernel's lanes are positions; for values its lanes are d.
 * P is 2 for bfloat16, where two consecutive elements of a lane fill a word of 32 bits, which is cheap to split; 1
 * otherwise. native/src/kv_page.h has the same in C.
 */

/** Positions of a page. */
export { PAGE }

/** Positions whose keys are interleaved. */
export const GROUP = 16

/** Dtypes of the KV cache; int8 has a scale for each position and head. */
export const cacheTypes = ['float32', 'bfloat16', 'int8'] as const

export type CacheType = (typeof cacheTypes)[number]

/** Bytes of an element. */
export const elementBytes: Record<CacheType, number> = { float32: 4, bfloat16: 2, int8: 1 }

/** Bytes of one head of one layer. */
export function headBytes(type: CacheType, headDim: number): number {
  const scales = type === 'int8' ? 2 * PAGE * Float32Array.BYTES_PER_ELEMENT : 0
  return 2 * PAGE * headDim * elementBytes[type] + scales
}

/** Bytes of a page: `layers` times `kvHeads` heads. The offset of layer i is the size of a page of i layers. */
export function pageBytes(
  type: CacheType,
  headDim: number,
  kvHeads: number,
  layers: number,
): number {
  return layers * kvHeads * headBytes(type, headDim)
}

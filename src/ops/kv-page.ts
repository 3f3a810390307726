/** Positions of a page. */
export const PAGE = 64

export type CacheType = 'float32' | 'bfloat16' | 'int8'

/** Bytes of one layer's keys and values of one head in a page. */
export function headBytes(type: CacheType, headDim: number): number {
  const size = { float32: 4, bfloat16: 2, int8: 1 }[type]
  return 2 * PAGE * headDim * size + (type === 'int8' ? 2 * PAGE * 4 : 0)
}

/** A Linear's sizes. */
export interface Shape {
  k: number
  n: number
}

/** Layers of one shape that take turns, so many that none finds its weights in a cache. */
export interface Rotation {
  /** Weights of one layer, bytes. */
  readonly layerBytes: number
  /** Makes a function that sends M rows through the next layer at each call, from and to fixed memory. */
  forwards(m: number): () => unknown
  /** The same for one row in ordinary arrays, as an application would call it. */
  plainForwards(): () => unknown
}

/** A runtime that multiplies. */
export interface Runner {
  readonly name: string
  rotation(shape: Shape): Promise<Rotation>
}

/** Weights of a rotation together; several times the largest L3 caches of today. */
export const ROTATION_BYTES = 2 ** 30

/** The measured layers, as (K, N). */
export const shapes: Shape[] = [
  { k: 1024, n: 3072 },
  { k: 2048, n: 2048 },
  { k: 2048, n: 6144 },
  { k: 6144, n: 2048 },
]

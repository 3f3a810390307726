/**
 * y[M, N] = x[M, K] . w[N, K]^T (+ bias[N]): what every weight matrix of a decoder does. A model does
 * not care how: in float32 on this thread, or in int8 on a pool.
 */
export interface Projection {
  /** K */
  readonly inFeatures: number
  /** N */
  readonly outFeatures: number
  /**
   * @param x float32 [M, K], row-major, any M; must not change before the promise settles
   * @returns float32 [M, N], row-major
   */
  forward(x: Float32Array, options?: { signal?: AbortSignal | undefined }): Promise<Float32Array>
  /** Lets go of the weight. A forward after that rejects with a DisposedError. */
  dispose(): void
}

/**
 * Makes a projection of each source, one after the other. If one fails, those before it are disposed
 * of.
 */
export async function makeEach<S>(
  sources: ReadonlyMap<string, S>,
  make: (source: S) => Promise<Projection>,
): Promise<Map<string, Projection>> {
  const made = new Map<string, Projection>()
  try {
    for (const [name, source] of sources) made.set(name, await make(source))
    return made
  } catch (error) {
    for (const projection of made.values()) projection.dispose()
    throw error
  }
}

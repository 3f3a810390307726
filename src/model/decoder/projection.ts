import type { FloatLinear } from '../../ops/float-linear.js'
import type { Linear } from '../../ops/linear.js'

/** y[M, N] = x[M, K] . w[N, K]^T (+ bias[N]): what every weight matrix of a decoder does. */
export type Projection = Linear | FloatLinear

/**
 * Makes a projection of each source, one after the other. If one fails, those before it are disposed
 * of.
 */
export async function makeEach<S, P extends Projection>(
  sources: ReadonlyMap<string, S>,
  make: (source: S) => Promise<P>,
): Promise<Map<string, P>> {
  const made = new Map<string, P>()
  try {
    for (const [name, source] of sources) made.set(name, await make(source))
    return made
  } catch (error) {
    for (const projection of made.values()) projection.dispose()
    throw error
  }
}

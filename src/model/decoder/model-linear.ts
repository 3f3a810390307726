import type { FloatLinear } from '../../ops/float-linear.js'
import type { Linear } from '../../ops/linear.js'

/** y[M, N] = x[M, K] . w[N, K]^T (+ bias[N]): what every weight matrix of a decoder does. */
export type ModelLinear = Linear | FloatLinear

/** Rows of fewer elements are short. */
const SHORT_ROW = 1024

/**
 * How many elements of a row of activations the int8 Linears of a model keep exact, unless it is said: more where rows
 * are short, whose models are small and lose most by quantising; fewer where they would take time.
 *
 * @param inFeatures K
 */
export function defaultOutliers(inFeatures: number): number {
  return inFeatures < SHORT_ROW ? 15 : 8
}

/** The same for all K, in words. */
export function describeOutliers(): string {
  const [short, others] = [SHORT_ROW - 1, SHORT_ROW].map(defaultOutliers)
  return `${others} outliers, ${short} where K < ${SHORT_ROW}`
}

/** Made at the same time: while the weights of one are packed, those of the next come from disk. */
const AT_ONCE = 3

/**
 * Makes a Linear of each source, some at a time, in order. If one fails, all others are disposed of.
 */
export async function makeEach<S, P extends ModelLinear>(
  sources: ReadonlyMap<string, S>,
  make: (source: S, name: string) => Promise<P>,
): Promise<Map<string, P>> {
  const made = new Map<string, P>()
  const names = [...sources.keys()]
  let failed = false
  const makeNext = async () => {
    for (let name = names.shift(); name !== undefined && !failed; name = names.shift()) {
      made.set(name, await make(sources.get(name) as S, name))
    }
  }
  const all = await Promise.allSettled(
    Array.from({ length: AT_ONCE }, () =>
      makeNext().catch((error) => {
        failed = true
        throw error
      }),
    ),
  )
  const failure = all.find(({ status }) => status === 'rejected')
  if (failure !== undefined) {
    for (const linear of made.values()) linear.dispose()
    throw (failure as PromiseRejectedResult).reason
  }
  // in the order of their sources, not of their making
  return new Map([...sources.keys()].map((name) => [name, made.get(name) as P]))
}

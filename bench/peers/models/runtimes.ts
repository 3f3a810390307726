import type { Contender } from './contender.js'

/** All runtimes to compare, dotpool first; loaded by import(), so that none needs the dependencies of another. */
export const runtimes = {
  dotpool: async (): Promise<Contender> => (await import('./contenders/dotpool.js')).dotpool,
  'dotpool, no outliers': async (): Promise<Contender> =>
    (await import('./contenders/dotpool.js')).dotpoolWithoutOutliers,
  'node-llama-cpp': async (): Promise<Contender> =>
    (await import('./contenders/llama-cpp.js')).llamaCpp,
}

export type ContenderName = keyof typeof runtimes

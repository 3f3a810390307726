import type { Contender } from './contender.js'

/** Everybody who may take part, dotpool first; by import(), so that nobody needs what others need. */
export const roster = {
  dotpool: async (): Promise<Contender> => (await import('./contenders/dotpool.js')).dotpool,
  'dotpool, no outliers': async (): Promise<Contender> =>
    (await import('./contenders/dotpool.js')).dotpoolWithoutOutliers,
  'node-llama-cpp': async (): Promise<Contender> =>
    (await import('./contenders/llama-cpp.js')).llamaCpp,
}

export type ContenderName = keyof typeof roster

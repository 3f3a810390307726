import type { Bits } from '../../../dist/bench/models/bits.js'
import type { Contender } from './contender.js'

// by import(), so that none needs the dependencies of another
const dotpool = () => import('./contenders/dotpool.js')
const llamaCpp = () => import('./contenders/llama-cpp.js')

/** All runtimes. */
export const runtimes = {
  dotpool: async (): Promise<Contender> => (await dotpool()).dotpool,
  'dotpool, no outliers': async (): Promise<Contender> => (await dotpool()).dotpoolWithoutOutliers,
  'dotpool, W4A8': async (): Promise<Contender> => (await dotpool()).dotpoolW4A8,
  'dotpool, W4A8, head in int4': async (): Promise<Contender> =>
    (await dotpool()).dotpoolW4A8Int4Head,
  'dotpool, W8A8': async (): Promise<Contender> => (await dotpool()).dotpoolW8A8,
  'node-llama-cpp': async (): Promise<Contender> => (await llamaCpp()).llamaCpp,
  'node-llama-cpp, Q4_0': async (): Promise<Contender> => (await llamaCpp()).llamaCppQ4,
  'node-llama-cpp, Q4_K_M': async (): Promise<Contender> => (await llamaCpp()).llamaCppQ4K,
}

export type ContenderName = keyof typeof runtimes

/** Those that a model with Linears of so many bits compares; the others' times are told in the first one's. */
export const contenderNames: Readonly<Record<Bits, readonly ContenderName[]>> = {
  8: ['dotpool', 'dotpool, no outliers', 'node-llama-cpp'],
  4: [
    'dotpool, W4A8',
    'dotpool, W4A8, head in int4',
    'dotpool, W8A8',
    'node-llama-cpp, Q4_0',
    'node-llama-cpp, Q4_K_M',
  ],
}

import { Pool, type PoolOptions } from 'dotpool'
import { loadNative } from '#src/native.js'

/** Every set of kernels that this machine can run, and the fallback. */
export const isas = [...(loadNative()?.isas() ?? []), 'typescript']

/**
 * A pool with the kernels of one ISA. Kernels are chosen for the whole process, so pools of two ISAs
 * must not be alive together.
 */
export async function createPool(isa: string, options: PoolOptions = {}): Promise<Pool> {
  const before = process.env.DOTPOOL_ISA
  process.env.DOTPOOL_ISA = isa
  try {
    return await Pool.create(options)
  } finally {
    if (before === undefined) delete process.env.DOTPOOL_ISA
    else process.env.DOTPOOL_ISA = before
  }
}

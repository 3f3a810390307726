import { Pool, type PoolOptions } from 'dotpool'
import { beforeEach } from 'vitest'
import { possibleIsas } from '#src/native/load.js'

/** Every set of kernels that this machine can run, and the fallback. */
export const isas = possibleIsas()

/** Whether only TypeScript is available. */
export const scripted = isas[0] === 'typescript'
const noLibrary = 'it takes the library, which a C compiler and make build'
/** The reason, for titles of tests that need more. */
export const why = scripted ? ` (skipped: ${noLibrary})` : ''

/** Skips a file's tests where only TypeScript is available: it would take minutes, or lacks the feature. */
export function needLibrary(): void {
  beforeEach(({ skip }) => skip(scripted, noLibrary))
}

/** A pool with the kernels of one ISA. */
export async function createPool(isa: string, options: PoolOptions = {}): Promise<Pool> {
  const before = process.env.DOTPOOL_ISA
  process.env.DOTPOOL_ISA = isa
  try {
    // create() reads the variable before its first await
    return Pool.create(options)
  } finally {
    if (before === undefined) delete process.env.DOTPOOL_ISA
    else process.env.DOTPOOL_ISA = before
  }
}

import { readFileSync } from 'node:fs'

const header = readFileSync(new URL('../../native/include/dotpool.h', import.meta.url), 'utf8')

/** The functions that the header of the native library declares, sorted. */
export const declared = [...header.matchAll(/^DP_EXPORT.*?\b(dp_\w+)\(/gm)]
  .map(([, name]) => name)
  .sort()

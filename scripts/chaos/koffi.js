import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import koffi from 'koffi'
import { loadNative } from '#src/native/load.js'
import { settle } from './settle.js'

/*
 * koffi keeps memory for each thread that has ended: some of malloc's, and the stack on which it calls C. dotpool
 * cannot release that, so it is counted apart from what dotpool itself may leak.
 */

/** What koffi maps for a thread's stack: 2 MiB, and a guard page. */
export const STACK_BYTES = (2 << 20) + 4096

const WARM_UP = 10
const THREADS = 30

/**
 * Measures the bytes of malloc's memory that koffi keeps for each ended thread, with threads that call a function of
 * the library and nothing else.
 *
 * @param {() => number} mallocBytes what malloc has handed out
 */
export async function measureKoffi(mallocBytes) {
  const handle = loadNative()?.handle
  if (handle?.kind !== 'library') return 0
  const bytesAfter = async (/** @type {number} */ threads) => {
    for (let i = 0; i < threads; i++) {
      await once(new Worker(new URL(import.meta.url), { workerData: handle.path }), 'exit')
    }
    await settle()
    return mallocBytes()
  }
  const before = await bytesAfter(WARM_UP)
  return ((await bytesAfter(THREADS)) - before) / THREADS
}

if (!isMainThread) koffi.load(workerData).func('uint64_t dp_region_bytes(uint32_t threads)')(1)

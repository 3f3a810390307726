import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import koffi from 'koffi'
import { loadNative } from '#src/native/load.js'
import { settle } from './settle.js'

/*
 * koffi keeps what each thread took of it when the thread ends: some memory of malloc's, and the stack that it calls
 * C on. dotpool cannot give that back, so it is told apart from what dotpool itself may leave.
 */

/** What koffi maps for a thread's stack: 2 MiB, and a page behind it. */
export const STACK_BYTES = (2 << 20) + 4096

const WARM_UP = 10
const THREADS = 30

/**
 * What koffi keeps of malloc's memory for each thread that has ended, bytes, as it does for threads that call a
 * function of the library and nothing else.
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

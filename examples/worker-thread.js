// A program whose work runs in a thread of its own: there `forwardSync` may block, no promise is needed, and it
// is the shortest way. The weight lies in shared memory, so the thread gets it without a copy.
//
//   node examples/worker-thread.js
//
// Prints `y = 128, -128, 256` from the main thread.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Linear, Pool } from 'dotpool'

const shape = { inFeatures: 64, outFeatures: 3 }

if (isMainThread) {
  const weight = new Int8Array(new SharedArrayBuffer(3 * 64))
  weight.fill(1, 0, 64).fill(-1, 64, 128).fill(2, 128)

  const worker = new Worker(new URL(import.meta.url), { workerData: weight })
  worker.on('message', (y) => {
    console.log(`y = ${y.join(', ')}`)
    worker.postMessage(null) // no more work
  })
  worker.postMessage(new Float32Array(64).fill(2))
} else {
  const pool = await Pool.create() // this thread does the share of one of its workers
  const linear = await Linear.fromInt8(pool, workerData, 1, shape)

  parentPort.on('message', async (x) => {
    if (x !== null) return parentPort.postMessage(linear.forwardSync(x))
    await pool.close() // before the thread ends
    parentPort.close()
  })
}

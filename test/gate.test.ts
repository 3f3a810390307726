import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { openGate, shut } from '#src/pool/gate.js'
import { until } from './support/threads.js'

/** A thread that goes in; it counts words[0] up once it is there, and comes out when words[1] is set. */
function visitor(gate: Int32Array, words: Int32Array): Worker {
  const source = `
    const { parentPort, workerData: { gate, words } } = require('node:worker_threads')
    import(${JSON.stringify(import.meta.resolve('#src/pool/gate.js'))}).then(({ inside }) => {
      parentPort.postMessage('there')
      inside(gate, () => {
        Atomics.add(words, 0, 1)
        Atomics.wait(words, 1, 0)
      })
    })`
  return new Worker(source, { eval: true, workerData: { gate, words } })
}

it('a gate lets nobody in any more once it is shut, and is shut once nobody is inside', async () => {
  const gate = openGate()
  const words = new Int32Array(new SharedArrayBuffer(8))
  const visitors = [visitor(gate, words), visitor(gate, words)]
  await until(() => words[0] === 2)
  let isShut = false
  const done = shut(gate).then(() => {
    isShut = true
  })
  const late = visitor(gate, words)
  await new Promise((resolve) => late.once('message', resolve))
  expect(isShut).toBe(false)
  Atomics.store(words, 1, 1)
  Atomics.notify(words, 1)
  await done
  await Promise.all([...visitors, late].map((worker) => worker.terminate()))
  expect(words[0]).toBe(2)
})

import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { closeGate, openGate, shut } from '#src/pool/gate.js'
import { until } from './support/threads.js'

/** A thread that enters the gate, increments words[0], stays for a while, and increments words[1] before it leaves. */
function visitor(gate: Int32Array, words: Int32Array): Worker {
  const source = `
    const { parentPort, workerData: { gate, words } } = require('node:worker_threads')
    import(${JSON.stringify(import.meta.resolve('#src/pool/gate.js'))}).then(({ inside }) => {
      parentPort.postMessage('there')
      inside(gate, () => {
        Atomics.add(words, 0, 1)
        Atomics.wait(words, 2, 0, 200)
        Atomics.add(words, 1, 1)
      })
    })`
  return new Worker(source, { eval: true, workerData: { gate, words } })
}

it('a closed gate refuses entry, and closing waits for the threads inside', async () => {
  const gate = openGate()
  const words = new Int32Array(new SharedArrayBuffer(12))
  const visitors = [visitor(gate, words), visitor(gate, words)]
  await until(() => words[0] > 0)
  shut(gate)
  const entered = words[0]
  expect(words[1]).toBe(entered)
  const late = visitor(gate, words)
  await new Promise((resolve) => late.once('message', resolve))
  await Promise.all([...visitors, late].map((worker) => worker.terminate()))
  expect(words[0]).toBe(entered)
  closeGate(gate)
})

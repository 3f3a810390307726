/*
 * This process's worker threads, for tests and for chaos.
 */

/** @import { Worker } from 'node:worker_threads' */

/**
 * The oldest first.
 *
 * @type {Set<Worker>}
 */
const born = new Set()

/**
 * Threads that serve a region. Node aborts if a thread is killed while it still loads the library.
 *
 * @type {Set<Worker>}
 */
export const serving = new Set()

process.on('worker', (worker) => {
  born.add(worker)
  worker.on('message', (message) => {
    if (typeof message === 'number') serving.add(worker)
  })
  worker.on('exit', () => {
    born.delete(worker)
    serving.delete(worker)
  })
})

/**
 * Threads of pools that exist, started or not. Leaves out a model's text thread, which may end later: it uses a port of
 * its own.
 */
export function poolThreads() {
  const ours = 1 // listener
  return [...born].filter((worker) => worker.listenerCount('message') > ours)
}

import { writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

/** How many seconds the event loop may stand still. Counted, because clocks jump. */
const LIMIT_SECONDS = 60

/** Kills the process with a message if its event loop stands still for ever, when no timer can. */
export function startWatchdog() {
  const beats = new Int32Array(new SharedArrayBuffer(4))
  new Worker(new URL(import.meta.url), { workerData: beats }).unref()
  setInterval(() => Atomics.add(beats, 0, 1), 500).unref()
}

/** @param {Int32Array<SharedArrayBuffer>} beats */
function watch(beats) {
  const still = new Int32Array(new SharedArrayBuffer(4))
  for (let before = 0, silent = 0; silent < LIMIT_SECONDS; ) {
    Atomics.wait(still, 0, 0, 1000)
    const now = Atomics.load(beats, 0)
    silent = now === before ? silent + 1 : 0
    before = now
  }
  writeSync(2, 'the event loop stands still\n')
  process.kill(process.pid, 'SIGABRT')
}

if (!isMainThread) watch(workerData)

import { Piscina } from 'piscina'

/**
 * Node's options for threads, instead of the process's own. Piscina runs a file by require() or else by
 * import(). Node aborts the process if a thread is ended while it requires an ES module, so it must not.
 */
const execArgv = process.features.require_module ? ['--no-experimental-require-module'] : []

/** What all threads run, and are told as they start. */
export interface ThreadsOptions {
  /** Of the file, as Piscina wants it. */
  filename?: string
  workerData?: unknown
}

/** Starts worker threads, of which there are always `count`: Piscina replaces those that die. */
export function startThreads(count: number, options: ThreadsOptions = {}): Piscina {
  const fixed = { minThreads: count, maxThreads: count, recordTiming: false, execArgv }
  const piscina = new Piscina({ ...fixed, ...options })
  // a thread that dies without a task was nobody's loss
  piscina.on('error', () => {})
  return piscina
}

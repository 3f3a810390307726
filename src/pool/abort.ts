import { setMaxListeners } from 'node:events'

/** Calls `onAbort` when the signal is aborted. Any number of calls may share one: that is no leak. */
export function heed(signal: AbortSignal | undefined, onAbort: () => void): void {
  if (signal === undefined) return
  setMaxListeners(0, signal)
  signal.addEventListener('abort', onAbort, { once: true })
}

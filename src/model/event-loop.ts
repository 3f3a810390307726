import { setImmediate } from 'node:timers/promises'

/*
 * The float path computes on the main thread. It pauses often enough that timers, sockets and aborts
 * wait for a few milliseconds at most.
 */

const HOLD_MILLIS = 5

let heldSince = performance.now()

/** Whether the event loop has waited for long enough, so that {@link pause} is due. */
export function pauseDue(): boolean {
  return performance.now() - heldSince > HOLD_MILLIS
}

/**
 * Lets the event loop take one turn.
 *
 * @throws the signal's reason, if that turn aborted it
 */
export async function pause(signal?: AbortSignal): Promise<void> {
  await setImmediate()
  heldSince = performance.now()
  signal?.throwIfAborted()
}

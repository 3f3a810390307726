/*
 * A thread that is ended while it loads the library aborts the process, because koffi aborts where it cannot throw.
 * So threads load it inside a gate. When the process exits, which ends all threads, it shuts the gates and waits until
 * no thread is inside.
 */

/** How many threads are inside, plus SHUT once no more may enter. */
export type Gate = Int32Array<SharedArrayBuffer>

const SHUT = 2 ** 30

/** Threads still inside count as dead when none has come out for this long. */
const PATIENCE_MILLIS = 30_000

/** Gates that threads may enter. */
const open = new Set<Gate>()

/** Makes an open gate for threads that start. Call {@link closeGate} once they have ended. */
export function openGate(): Gate {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  if (open.size === 0) process.on('exit', shutOpen)
  open.add(gate)
  return gate
}

/** Calls `act` inside the gate, and returns what it returns. Never returns if the gate is shut. */
export function inside<T>(gate: Gate, act: () => T): T {
  for (;;) {
    const before = Atomics.load(gate, 0)
    // the thread is about to be ended
    if (before >= SHUT) Atomics.wait(gate, 0, before)
    else if (Atomics.compareExchange(gate, 0, before, before + 1) === before) break
  }
  try {
    return act()
  } finally {
    Atomics.sub(gate, 0, 1)
    Atomics.notify(gate, 0)
  }
}

/** Drops a gate that no thread will enter any more. */
export function closeGate(gate: Gate): void {
  open.delete(gate)
  if (open.size === 0) process.off('exit', shutOpen)
}

/** Lets no more threads enter, and waits until those inside have come out. */
export function shut(gate: Gate): void {
  Atomics.or(gate, 0, SHUT)
  let before = Atomics.load(gate, 0)
  while (before > SHUT && Atomics.wait(gate, 0, before, PATIENCE_MILLIS) !== 'timed-out') {
    before = Atomics.load(gate, 0)
  }
}

function shutOpen(): void {
  for (const gate of open) shut(gate)
}

/*
 * A thread that is ended while it loads the library takes the process with it: koffi aborts where it cannot
 * throw an error. So threads load it behind a gate. As the process exits, which takes all threads along, it shuts
 * the gates, and waits until nobody is inside.
 */

/** How many threads are inside, plus SHUT once nobody may come in. */
export type Gate = Int32Array<SharedArrayBuffer>

const SHUT = 2 ** 30

/** So long after a thread came out, those that are still inside are taken for dead. */
const PATIENCE_MILLIS = 30_000

/** Gates of threads that may load. */
const open = new Set<Gate>()

/** An open gate for threads that start; {@link closeGate} once they have ended. */
export function openGate(): Gate {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  if (open.size === 0) process.on('exit', shutOpen)
  open.add(gate)
  return gate
}

/** What `act` returns, which is called inside the gate; never returns if that is shut. */
export function inside<T>(gate: Gate, act: () => T): T {
  for (;;) {
    const before = Atomics.load(gate, 0)
    // nothing is left for this thread but to be ended
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

/** Nobody will come to the gate any more. */
export function closeGate(gate: Gate): void {
  open.delete(gate)
  if (open.size === 0) process.off('exit', shutOpen)
}

/** Lets no more threads in, and waits until those inside have come out. */
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

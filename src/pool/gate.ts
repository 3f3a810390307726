import { setTimeout } from 'node:timers/promises'

/*
 * A thread that is ended while it loads the library takes the process with it: koffi aborts where it cannot
 * throw an error. So threads load it behind a gate. Who wants to end them shuts the gate, and waits until
 * nobody is inside.
 */

/** How many threads are inside, plus SHUT once nobody may come in. */
export type Gate = Int32Array<SharedArrayBuffer>

const SHUT = 2 ** 30

/** So long after the last thread came out, those that are still inside are taken for dead. */
const PATIENCE_MILLIS = 30_000

/** Gates of threads that nobody has ended yet. */
const open = new Set<Gate>()

/** An open gate for threads that start; {@link shut} it before they are ended. */
export function openGate(): Gate {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  if (open.size === 0) process.on('exit', shutAll)
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

/** Lets no more threads in, and resolves once those inside have come out. */
export async function shut(gate: Gate): Promise<void> {
  Atomics.or(gate, 0, SHUT)
  let before = Atomics.load(gate, 0)
  let end = performance.now() + PATIENCE_MILLIS
  while (before > SHUT && performance.now() < end) {
    await setTimeout(1)
    const now = Atomics.load(gate, 0)
    if (now !== before) end = performance.now() + PATIENCE_MILLIS
    before = now
  }
  open.delete(gate)
  if (open.size === 0) process.off('exit', shutAll)
}

/** The same at the process's end, which takes all threads along. */
function shutAll(): void {
  for (const gate of open) {
    Atomics.or(gate, 0, SHUT)
    let before = Atomics.load(gate, 0)
    while (before > SHUT && Atomics.wait(gate, 0, before, PATIENCE_MILLIS) !== 'timed-out') {
      before = Atomics.load(gate, 0)
    }
  }
}

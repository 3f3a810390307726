import { parentPort, workerData } from 'node:worker_threads'
import type { Handle } from '../native/abi.js'
import { Leave, RegionLayout, Seat, WorkerLayout } from '../native/layout.js'
import { openServant } from '../native/load.js'
import { type Gate, inside } from './gate.js'

/*
 * The resident task: what a Piscina worker runs while its seat in the region is taken. It goes back and
 * forth between C, where programs run, and a wait in JavaScript. How parking and waking can not miss
 * each other is argued in native/src/region.c.
 */

export interface Residency {
  /** The region's shared memory, from its first word. */
  control: Int32Array<SharedArrayBuffer>
  /** The same for C. */
  address: number
  /** Which seat to take. */
  index: number
  /** How long to spin for the next program before parking. */
  spinNanos: number
  /** How long to stay in C at most before giving terminate() and process.exit() their chance. */
  sliceNanos: number
}

/** What a worker posts. */
export type WorkerMessage =
  /** The seat of this number is taken. */
  | number
  /** Programs are complete. */
  | null

/** What every worker of a region is told as it starts. */
export interface WorkerStart {
  /** The C half to serve. */
  handle: Handle
  /** CPUs that the thread may run on; null: all that the process may. */
  cpus: readonly number[] | null
  /** To load the library behind. */
  gate: Gate
}

const { handle, cpus, gate } = workerData as WorkerStart
const native = inside(gate, () => openServant(handle))
if (cpus !== null) native.pinThread(cpus)

export default function reside(task: Residency): void {
  if (parentPort === null) throw new Error('not a worker thread')
  const { control, address, index, spinNanos, sliceNanos } = task
  const own = RegionLayout.workers + index * WorkerLayout.words
  const seat = own + WorkerLayout.seat
  const cursor = own + WorkerLayout.cursor

  const hasWork = () =>
    Atomics.load(control, RegionLayout.stop) === 1 ||
    (Atomics.load(control, RegionLayout.epoch) !== control[cursor] &&
      index < Atomics.load(control, RegionLayout.seats))

  /** Sleeps until there is work. False: it is dismissed instead, and its seat is free. */
  const park = (): boolean => {
    Atomics.store(control, seat, Seat.parked)
    if (hasWork()) Atomics.compareExchange(control, seat, Seat.parked, Seat.taken)
    Atomics.wait(control, seat, Seat.parked)
    const before = Atomics.compareExchange(control, seat, Seat.dismissed, Seat.empty)
    return before !== Seat.dismissed
  }

  /** Lets terminate() take effect: calls of native functions alone never look whether it was called. */
  const still = new Int32Array(new SharedArrayBuffer(4))
  const breathe = () => Atomics.wait(still, 0, 0, 0)

  parentPort.postMessage(index satisfies WorkerMessage)
  for (;;) {
    const why = native.serve(address, index, spinNanos, sliceNanos)
    if (why === Leave.stop) return
    if (why === Leave.notice) parentPort.postMessage(null satisfies WorkerMessage)
    if (why === Leave.slice) breathe()
    if ((why === Leave.idle || why === Leave.unseated) && !park()) return
  }
}

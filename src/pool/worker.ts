import { parentPort, workerData } from 'node:worker_threads'
import type { Handle } from '../native/abi.js'
import { Leave, RegionLayout, Seat, WorkerLayout } from '../native/layout.js'
import { openForWorker } from '../native/load.js'
import { type Gate, inside } from './gate.js'

/*
 * The resident task, which a Piscina worker runs while its seat in the region is taken. It alternates between C, where
 * it runs programs, and a wait in JavaScript. native/src/region.c argues why no wake-up is lost.
 */

export interface ResidentTask {
  /** The region's shared memory, from its first word. */
  control: Int32Array<SharedArrayBuffer>
  /** The same memory's address, for C. */
  address: number
  /** The worker's number, which is its seat's. */
  index: number
  /** How long to spin for the next program before parking. */
  spinNanos: number
  /** How long to stay in C at most, where terminate() and process.exit() have no effect. */
  sliceNanos: number
}

/** What a worker posts: its number when it has taken its seat, null when programs are complete. */
export type WorkerMessage = number | null

/** What every worker of a region gets as it starts. */
export interface WorkerStart {
  /** The native code to load. */
  handle: Handle
  /** CPUs that the thread may run on; null for all that the process may use. */
  cpus: readonly number[] | null
  /** The gate to load it in. */
  gate: Gate
}

const { handle, cpus, gate } = workerData as WorkerStart
const native = inside(gate, () => openForWorker(handle))
if (cpus !== null) native.pinThread(cpus)

export default function runResidentTask(task: ResidentTask): void {
  if (parentPort === null) throw new Error('not a worker thread')
  const { control, address, index, spinNanos, sliceNanos } = task
  const own = RegionLayout.workers + index * WorkerLayout.words
  const seat = own + WorkerLayout.seat
  const cursor = own + WorkerLayout.cursor

  const hasWork = () =>
    Atomics.load(control, RegionLayout.stop) === 1 ||
    (Atomics.load(control, RegionLayout.epoch) !== control[cursor] &&
      index < Atomics.load(control, RegionLayout.seats))

  /** Sleeps until there is work. False: the worker was dismissed, and its seat is empty. */
  const park = (): boolean => {
    Atomics.store(control, seat, Seat.parked)
    if (hasWork()) Atomics.compareExchange(control, seat, Seat.parked, Seat.taken)
    Atomics.wait(control, seat, Seat.parked)
    const before = Atomics.compareExchange(control, seat, Seat.dismissed, Seat.empty)
    return before !== Seat.dismissed
  }

  /** Lets terminate() take effect, which a loop of nothing but native calls never checks for. */
  const unused = new Int32Array(new SharedArrayBuffer(4))
  const checkForTermination = () => Atomics.wait(unused, 0, 0, 0)

  parentPort.postMessage(index satisfies WorkerMessage)
  for (;;) {
    const why = native.serve(address, index, spinNanos, sliceNanos)
    if (why === Leave.stop) return
    if (why === Leave.notice) parentPort.postMessage(null satisfies WorkerMessage)
    if (why === Leave.slice) checkForTermination()
    if ((why === Leave.idle || why === Leave.unseated) && !park()) return
  }
}

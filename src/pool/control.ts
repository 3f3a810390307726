import { type Native, Seat } from '../native/abi.js'
import { OpList } from './op-list.js'
import { type Program, writeOp } from './program.js'
import type { WorkerStats } from './stats.js'

/** The region's shared memory as JavaScript reads and writes it; dp_region in C. */
export class Control {
  readonly native: Native
  readonly threads: number
  /** Where C finds it. */
  readonly address: number
  /** All of it, by 32-bit words. */
  readonly words: Int32Array<SharedArrayBuffer>
  readonly #unsigned: Uint32Array<SharedArrayBuffer>
  readonly #counters: BigUint64Array<SharedArrayBuffer>
  /** The list of ops that each slot of the ring refers to, if any. */
  readonly #lists: (OpList | undefined)[] = []
  /**
   * Lists that no slot refers to any more, and their last programs. A worker that the system suspended while it
   * looked for a unit to claim reads them when it resumes, however many programs later.
   */
  readonly #replaced = new Map<OpList, number>()

  constructor(native: Native, threads: number) {
    const bytes = native.allocate(native.regionBytes(threads))
    const part = [bytes.buffer, bytes.byteOffset] as const
    this.native = native
    this.threads = threads
    this.address = native.address(bytes)
    this.words = new Int32Array(...part, bytes.byteLength / 4)
    this.#unsigned = new Uint32Array(...part, bytes.byteLength / 4)
    this.#counters = new BigUint64Array(...part, bytes.byteLength / 8)
    native.regionInit(this.address, threads)
  }

  /** Index of the word that worker `w` parks on. */
  seat(w: number): number {
    return this.#worker(w) + this.native.layout.workerSeat / 4
  }

  /** The program that worker `w` was in when it last wrote its state; undefined if it was between programs. */
  programOf(w: number): number | undefined {
    const { workerEntered, workerCursor } = this.native.layout
    const entered = this.#unsigned[this.#worker(w) + workerEntered / 4]
    const left = this.#unsigned[this.#worker(w) + workerCursor / 4]
    return entered === left ? undefined : entered
  }

  /** Releases the claims of worker `w`, whose thread has died; see dp_bury. Its successor resumes behind them. */
  retire(w: number): void {
    this.native.retire(this.address, w)
  }

  /** What worker `w` has done; w = threads is the calling thread. */
  stats(w: number): WorkerStats {
    const at = (this.#worker(w) * 4 + this.native.layout.workerStats) / 8
    const [regions, busy, wait, units, weightBytes] = this.#counters.subarray(at, at + 5)
    return {
      regions: Number(regions),
      busyMicros: Number(busy) / 1000,
      waitMicros: Number(wait) / 1000,
      units: Number(units),
      weightBytes: Number(weightBytes),
    }
  }

  /** Writes the program into the slot of `epoch`, the next, and rings the doorbell. */
  publish(program: Program, epoch: number, silent: boolean): void {
    const { slotOps, opBytes, ringLength } = this.native.layout
    const ops = program.native()
    const kept = ops instanceof OpList
    const slot = epoch % ringLength
    const before = this.#lists[slot]
    if (before !== undefined) this.#replaced.set(before, epoch - ringLength)
    this.#lists[slot] = kept ? ops : undefined
    if (kept) {
      this.native.publish(this.address, ops.address, ops.progress, ops.length, Number(silent))
    } else {
      const at = this.#slot(epoch, slotOps)
      for (let i = 0; i < ops.length; i++) writeOp(this.#unsigned, at + (i * opBytes) / 4, ops[i])
      this.native.publish(this.address, 0, 0, ops.length, Number(silent))
    }
    this.#releaseReplaced()
  }

  /**
   * Releases replaced lists that no worker can be reading any more. A worker that enters C after this finds
   * another program in their slots.
   */
  #releaseReplaced(): void {
    for (const [list, epoch] of this.#replaced) {
      if (this.#allLeft(epoch)) this.#replaced.delete(list)
    }
  }

  /** Whether every worker is past program `epoch`, or not in C. */
  #allLeft(epoch: number): boolean {
    for (let w = 0; w < this.threads; w++) {
      if (Atomics.load(this.words, this.seat(w)) !== Seat.taken) continue
      const { workerCursor } = this.native.layout
      const cursor = Atomics.load(this.#unsigned, this.#worker(w) + workerCursor / 4)
      // epochs wrap
      if (((cursor - epoch) | 0) < 0) return false
    }
    return true
  }

  /** Runs units until program `epoch` is complete or about `sliceNanos` have passed. False: it is not complete. */
  help(epoch: number, sliceNanos: number): boolean {
    return this.native.help(this.address, epoch, sliceNanos) === 1
  }

  /** The same in one turn of the event loop. False: a single unit takes longer than a turn. */
  helpBriefly(epoch: number, turnNanos: number): boolean {
    return this.native.helpBriefly(this.address, epoch, turnNanos) === 1
  }

  isComplete(epoch: number): boolean {
    const { slotCompleted } = this.native.layout
    return Atomics.load(this.#unsigned, this.#slot(epoch, slotCompleted)) === epoch
  }

  /** The fault of a complete program: 1 + an index, BAD_ROW + a row, or 0 for none. */
  fault(epoch: number): number {
    return this.#unsigned[this.#slot(epoch, this.native.layout.slotFault)]
  }

  /** Lets workers skip the units of the program that none has claimed. It must be in its slot. */
  abort(epoch: number): void {
    Atomics.store(this.words, this.#slot(epoch, this.native.layout.slotAborted), 1)
  }

  /** Makes all workers leave C. */
  stop(): void {
    Atomics.store(this.words, this.native.layout.stop / 4, 1)
  }

  /** How many workers run programs; those above sit out. Written only on a change: workers read it all the time. */
  set seats(count: number) {
    const at = this.native.layout.seats / 4
    if (this.words[at] !== count) Atomics.store(this.words, at, count)
  }

  /** Suppresses completion messages while this thread polls for results. */
  set noticesSuppressed(yes: boolean) {
    Atomics.store(this.words, this.native.layout.notice / 4, Number(yes))
  }

  #worker(w: number): number {
    const { workers, workerBytes } = this.native.layout
    return (workers + w * workerBytes) / 4
  }

  #slot(epoch: number, offset: number): number {
    const { ring, ringLength, slotBytes } = this.native.layout
    return (ring + (epoch % ringLength) * slotBytes + offset) / 4
  }
}

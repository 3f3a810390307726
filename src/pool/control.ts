import type { Native } from '../native/abi.js'
import { encodeOp } from '../native/encode.js'
import { OpLayout, RegionLayout, RING, Seat, SlotLayout, WorkerLayout } from '../native/layout.js'
import { OpList } from './op-list.js'
import type { Program } from './program.js'
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
    return this.#worker(w) + WorkerLayout.seat
  }

  /** The program that worker `w` was in when it last wrote its state; undefined if it was between programs. */
  programOf(w: number): number | undefined {
    const entered = this.#unsigned[this.#worker(w) + WorkerLayout.entered]
    const left = this.#unsigned[this.#worker(w) + WorkerLayout.cursor]
    return entered === left ? undefined : entered
  }

  /** Releases the claims of worker `w`, whose thread has died; see dp_retire. Its successor resumes behind them. */
  retire(w: number): void {
    this.native.retire(this.address, w)
  }

  /** What worker `w` has done; w = threads is the calling thread. */
  stats(w: number): WorkerStats {
    const at = (this.#worker(w) + WorkerLayout.stats) / 2
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
    const ops = program.ops()
    const kept = ops instanceof OpList
    const slot = epoch % RING
    const before = this.#lists[slot]
    if (before !== undefined) this.#replaced.set(before, epoch - RING)
    this.#lists[slot] = kept ? ops : undefined
    if (kept) {
      this.native.publish(this.address, ops.address, ops.progress, ops.length, Number(silent))
    } else {
      const at = this.#slot(epoch, SlotLayout.ownOps)
      for (let i = 0; i < ops.length; i++) {
        encodeOp(this.native, this.#unsigned, at + i * OpLayout.words, ops[i])
      }
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
      const cursor = Atomics.load(this.#unsigned, this.#worker(w) + WorkerLayout.cursor)
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
    return Atomics.load(this.#unsigned, this.#slot(epoch, SlotLayout.completed)) === epoch
  }

  /** The fault of a complete program: 1 + an index, BAD_ROW + a row, or 0 for none. */
  fault(epoch: number): number {
    return this.#unsigned[this.#slot(epoch, SlotLayout.fault)]
  }

  /** Lets workers skip the units of the program that none has claimed. It must be in its slot. */
  abort(epoch: number): void {
    Atomics.store(this.words, this.#slot(epoch, SlotLayout.aborted), 1)
  }

  /** Makes all workers leave C. */
  stop(): void {
    Atomics.store(this.words, RegionLayout.stop, 1)
  }

  /** How many workers run programs; those above sit out. Written only on a change: workers read it all the time. */
  set seats(count: number) {
    const at = RegionLayout.seats
    if (this.words[at] !== count) Atomics.store(this.words, at, count)
  }

  /** Suppresses completion messages while this thread polls for results. */
  set noticesSuppressed(yes: boolean) {
    Atomics.store(this.words, RegionLayout.notice, Number(yes))
  }

  #worker(w: number): number {
    return RegionLayout.workers + w * WorkerLayout.words
  }

  #slot(epoch: number, offset: number): number {
    return RegionLayout.ring + (epoch % RING) * SlotLayout.words + offset
  }
}

import { Piscina } from 'piscina'
import { PoolBrokenError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import { type Native, Seat } from '../native.js'
import { usableThreads } from './cpus.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import { sharedBytes } from './memory.js'
import { type Program, writeOp } from './program.js'
import type { WorkerStats } from './stats.js'
import type { Residency, WorkerMessage } from './worker.js'

/** A worker leaves C at least this often, so that terminate() and process.exit() are prompt. */
const SLICE_NANOS = 10e6

/** A worker that saw no call for so long waits in Piscina, where it does not keep the process alive. */
const RESIDENT_MILLIS = 100

/**
 * How long this thread looks for results where workers have every core, so that it takes one of them
 * away: as long as a small call, and little beside a large one.
 */
const CROWDED_LOOK_MILLIS = 0.01

/** All workers dead so many times without one program complete in between: they cannot work at all. */
const DEATHS_IN_A_ROW = 4

/** A program between the call and the end of its last unit. */
interface Flight {
  program: Program
  /** 0 while it waits for a slot of the ring. */
  epoch: number
  resolve(fault: number): void
  reject(error: unknown): void
  /** The promise is settled; the program may still run. */
  settled: boolean
  signal: AbortSignal | undefined
  onAbort: () => void
}

/**
 * The JavaScript half of the region (the other is native/src/region.c): fills the ring of programs,
 * rings the doorbell, wakes who is parked, enlists who left, and settles promises.
 */
export class Region implements Engine {
  readonly threads: number
  readonly isa: string
  readonly #native: Native
  readonly #spinNanos: number
  /** How long this thread looks for results before it waits for notice of them. */
  readonly #lookMillis: number
  readonly #control: Int32Array<SharedArrayBuffer>
  readonly #words: Uint32Array<SharedArrayBuffer>
  readonly #counters: BigUint64Array<SharedArrayBuffer>
  readonly #address: number
  readonly #piscina: Piscina
  /** By epoch modulo the ring's length. */
  readonly #ring: (Flight | undefined)[]
  readonly #waiting: Flight[] = []
  /** Resident tasks that have not ended. */
  readonly #residents = new Set<Promise<void>>()
  readonly #up = new Set<number>()
  #allUp: (() => void) | undefined
  #published = 0
  #inFlight = 0
  #deaths = 0
  /** Until when to look for results rather than wait for notice of them; 0 while nobody looks. */
  #lookUntil = 0
  #dismissal: NodeJS.Timeout | undefined
  #publishedBefore = 0
  #end: PoolClosedError | PoolBrokenError | undefined

  private constructor(native: Native, threads: number, spinMicros: number) {
    const { layout } = native
    const bytes = sharedBytes(native.regionBytes(threads))
    const part = [bytes.buffer, bytes.byteOffset] as const
    this.threads = threads
    this.isa = native.isa()
    this.#native = native
    this.#spinNanos = Math.round(spinMicros * 1000)
    this.#lookMillis = threads < usableThreads() ? spinMicros / 1000 : CROWDED_LOOK_MILLIS
    this.#control = new Int32Array(...part, bytes.byteLength / 4)
    this.#words = new Uint32Array(...part, bytes.byteLength / 4)
    this.#counters = new BigUint64Array(...part, bytes.byteLength / 8)
    this.#address = native.address(bytes)
    this.#ring = new Array(layout.ringLength).fill(undefined)
    native.regionInit(this.#address, threads)
    this.#piscina = new Piscina({
      filename: new URL('./worker.js', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      recordTiming: false,
    })
    this.#piscina.on('message', (message: WorkerMessage) => this.#hear(message))
    // a worker that dies without a task is replaced by Piscina and was nobody's loss
    this.#piscina.on('error', () => {})
    this.#piscina.on('workerDestroy', () => setImmediate(() => this.#checkCrew()))
  }

  /** Starts `threads` workers and waits until all are up. */
  static async start(native: Native, threads: number, spinMicros: number): Promise<Region> {
    const region = new Region(native, threads, spinMicros)
    const up = new Promise<void>((resolve) => {
      region.#allUp = resolve
    })
    region.#wake(threads)
    await up
    if (region.#end !== undefined) {
      await region.#piscina.destroy()
      throw region.#end
    }
    return region
  }

  rowStride(k: number): number {
    return this.#native.rowStride(this.#address, k)
  }

  async run(program: Program, signal?: AbortSignal): Promise<number> {
    if (this.#end !== undefined || signal?.aborted) {
      program.release?.()
      throw this.#end ?? signal?.reason
    }
    if (this.#waiting.length >= QUEUE_LIMIT) {
      program.release?.()
      throw new QueueFullError(QUEUE_LIMIT)
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#fail(flight, signal?.reason)
      const flight: Flight = { program, epoch: 0, resolve, reject, settled: false, signal, onAbort }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (this.#waiting.length > 0 || !this.#slotIsFree()) this.#waiting.push(flight)
      else this.#publish(flight)
    })
  }

  runSync(program: Program): number {
    if (this.#end !== undefined) {
      program.release?.()
      throw this.#end
    }
    while (!this.#slotIsFree()) {
      this.#native.help(this.#address, (this.#ring[this.#nextSlot()] as Flight).epoch)
      this.#settleCompleted()
    }
    const epoch = this.#write(program, true)
    this.#wake(this.threads - 1)
    this.#native.help(this.#address, epoch)
    const fault = this.#slotWord(epoch, this.#native.layout.slotFault)
    program.release?.()
    if (this.#inFlight > 0) this.#settleCompleted()
    return this.#control[fault]
  }

  stats(): WorkerStats[] {
    const { layout } = this.#native
    return Array.from({ length: this.threads + 1 }, (_, w) => {
      const at = (layout.workers + w * layout.workerBytes + layout.workerStats) / 8
      const [regions, busy, wait, units, weightBytes] = this.#counters.subarray(at, at + 5)
      return {
        regions: Number(regions),
        busyMicros: Number(busy) / 1000,
        waitMicros: Number(wait) / 1000,
        tiles: Number(units),
        weightBytes: Number(weightBytes),
      }
    })
  }

  async close(): Promise<void> {
    this.#finish(new PoolClosedError())
    // memory that workers may still write must outlive them
    await Promise.allSettled(this.#residents)
    await this.#piscina.destroy()
    for (const flight of this.#ring) flight?.program.release?.()
    this.#ring.fill(undefined)
  }

  // ---- publishing -------------------------------------------------------------------------------

  #nextSlot(): number {
    return ((this.#published + 1) >>> 0) % this.#ring.length
  }

  #slotIsFree(): boolean {
    return this.#ring[this.#nextSlot()] === undefined
  }

  /** Index of a slot's word among the control words; `offset` in bytes. */
  #slotWord(epoch: number, offset: number): number {
    const { layout } = this.#native
    return (layout.ring + (epoch % layout.ringLength) * layout.slotBytes + offset) / 4
  }

  /** Writes the program into the next slot and rings the doorbell. */
  #write(program: Program, silent: boolean): number {
    const { layout } = this.#native
    const ops = program.native()
    const at = this.#slotWord((this.#published + 1) >>> 0, layout.slotOps)
    for (let i = 0; i < ops.length; i++) writeOp(this.#words, at + (i * layout.opBytes) / 4, ops[i])
    this.#published = this.#native.publish(this.#address, ops.length, Number(silent))
    return this.#published
  }

  #publish(flight: Flight): void {
    flight.epoch = this.#write(flight.program, false)
    this.#ring[flight.epoch % this.#ring.length] = flight
    this.#inFlight++
    this.#wake(this.threads)
    if (this.#inFlight === 1) this.#look()
  }

  /** Sees to it that workers 0 .. count - 1 are awake or will be: notifies who parked, enlists who left. */
  #wake(count: number): void {
    for (let w = 0; w < count; w++) {
      const seat = this.#seat(w)
      const state = Atomics.load(this.#control, seat)
      if (state === Seat.taken) continue
      if (state === Seat.empty) {
        this.#enlist(w)
        continue
      }
      const before = Atomics.compareExchange(this.#control, seat, state, Seat.taken)
      if (before === Seat.parked) Atomics.notify(this.#control, seat, 1)
      // dismissed, it has left in this very moment; or it stays after all, being awake already
      else if (before === Seat.empty) this.#enlist(w)
    }
  }

  #seat(w: number): number {
    const { layout } = this.#native
    return (layout.workers + w * layout.workerBytes + layout.workerSeat) / 4
  }

  // ---- settling ---------------------------------------------------------------------------------

  #hear(message: WorkerMessage): void {
    if (message === null) {
      this.#listen()
    } else {
      this.#up.add(message)
      if (this.#up.size === this.threads) this.#allUp?.()
    }
  }

  /** Settles what is complete; what completes from here on brings a notice. */
  #listen(): void {
    Atomics.store(this.#control, this.#native.layout.notice / 4, 0)
    this.#settleCompleted()
  }

  /**
   * Looks for a result at every turn of the event loop for a while, so that it does not fall asleep:
   * waking it takes longer than a small call. Only while one call is out: with more, there is always
   * work to go on with, and notice comes early enough.
   */
  #look(): void {
    const looking = this.#lookUntil > 0
    this.#lookUntil = performance.now() + this.#lookMillis
    if (looking) return
    // workers take it that a notice is under way, and send none
    Atomics.store(this.#control, this.#native.layout.notice / 4, 1)
    const turn = () => {
      this.#settleCompleted()
      if (this.#inFlight > 0 && performance.now() < this.#lookUntil) {
        setImmediate(turn)
      } else {
        this.#lookUntil = 0
        this.#listen()
      }
    }
    setImmediate(turn)
  }

  /** Settles what is complete and publishes what waited for a slot. */
  #settleCompleted(): void {
    const { layout } = this.#native
    for (let i = 0; i < this.#ring.length && this.#inFlight > 0; i++) {
      const flight = this.#ring[i]
      if (flight === undefined) continue
      const completed = Atomics.load(
        this.#words,
        this.#slotWord(flight.epoch, layout.slotCompleted),
      )
      if (completed !== flight.epoch) continue
      this.#ring[i] = undefined
      this.#inFlight--
      this.#deaths = 0
      flight.program.release?.()
      const fault = this.#control[this.#slotWord(flight.epoch, layout.slotFault)]
      if (settle(flight)) flight.resolve(fault)
    }
    while (this.#waiting.length > 0 && this.#slotIsFree()) {
      this.#publish(this.#waiting.shift() as Flight)
    }
  }

  /** Rejects a call before its program is complete; workers skip what they have not yet claimed. */
  #fail(flight: Flight, error: unknown): void {
    if (!settle(flight)) return
    flight.reject(error)
    if (flight.epoch === 0) {
      this.#waiting.splice(this.#waiting.indexOf(flight), 1)
      flight.program.release?.()
    } else {
      // its memory is released when the slot completes
      const { slotAborted } = this.#native.layout
      Atomics.store(this.#words, this.#slotWord(flight.epoch, slotAborted), flight.epoch)
    }
  }

  /** Ends the region: rejects every call and sends the workers home. */
  #finish(error: PoolClosedError | PoolBrokenError): void {
    this.#end = error
    this.#allUp?.()
    clearInterval(this.#dismissal)
    for (const flight of [...this.#waiting, ...this.#ring]) {
      if (flight !== undefined) this.#fail(flight, error)
    }
    Atomics.store(this.#control, this.#native.layout.stop / 4, 1)
    for (let w = 0; w < this.threads; w++) {
      const seat = this.#seat(w)
      Atomics.compareExchange(this.#control, seat, Seat.parked, Seat.taken)
      Atomics.notify(this.#control, seat, 1)
    }
  }

  // ---- the crew ---------------------------------------------------------------------------------

  /** Puts a worker onto seat `w`. */
  #enlist(w: number): void {
    Atomics.store(this.#control, this.#seat(w), Seat.taken)
    const task: Residency = {
      control: this.#control,
      address: this.#address,
      index: w,
      spinNanos: this.#spinNanos,
      sliceNanos: SLICE_NANOS,
    }
    const resident = this.#piscina.run(task).then(
      () => {},
      (error) => this.#bury(w, error),
    )
    this.#residents.add(resident)
    resident.then(() => this.#residents.delete(resident))
    this.#dismissal ??= setInterval(() => this.#dismissIdle(), RESIDENT_MILLIS).unref()
  }

  /** A worker died: rejects the call it was part of and finds a successor for its seat. */
  #bury(w: number, cause: unknown): void {
    if (this.#end !== undefined) return
    const { layout } = this.#native
    const own = (layout.workers + w * layout.workerBytes) / 4
    const entered = this.#words[own + layout.workerEntered / 4]
    const left = this.#words[own + layout.workerCursor / 4]
    // threads die only between claims, so the successor can begin where it left off
    this.#words[own + layout.workerOp / 4] = 0
    Atomics.store(this.#control, this.#seat(w), Seat.empty)
    // it may have died on its way to tell us of completed programs
    this.#listen()
    const part = entered === left ? undefined : this.#ring[entered % this.#ring.length]
    if (part?.epoch === entered) this.#fail(part, new WorkerDiedError(cause))
    this.#deaths++
    if (this.#deaths > DEATHS_IN_A_ROW * this.threads) this.#finish(new PoolBrokenError(cause))
    else if (this.#inFlight > 0 || this.#up.size < this.threads) this.#wake(this.threads)
  }

  /** Piscina replaces a thread that dies, unless threads die as they start. */
  #checkCrew(): void {
    if (this.#end !== undefined || this.#piscina.threads.length === this.threads) return
    this.#finish(new PoolBrokenError('threads die as they start'))
  }

  /** Lets parked workers go if nothing was called for a while. */
  #dismissIdle(): void {
    const idle = this.#inFlight === 0 && this.#published === this.#publishedBefore
    this.#publishedBefore = this.#published
    if (!idle) return
    let resident = 0
    for (let w = 0; w < this.threads; w++) {
      const seat = this.#seat(w)
      const state = Atomics.compareExchange(this.#control, seat, Seat.parked, Seat.dismissed)
      if (state === Seat.parked) Atomics.notify(this.#control, seat, 1)
      if (state === Seat.taken) resident++
    }
    if (resident > 0) return
    clearInterval(this.#dismissal)
    this.#dismissal = undefined
  }
}

/** Marks a flight as settled. False: it was already. */
function settle(flight: Flight): boolean {
  if (flight.settled) return false
  flight.settled = true
  flight.signal?.removeEventListener('abort', flight.onAbort)
  return true
}

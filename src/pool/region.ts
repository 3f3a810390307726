import { AbortableDeferred } from '../abort.js'
import { usableCpus } from '../cpus/usable.js'
import { PoolBrokenError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import type { Native } from '../native/abi.js'
import { RING } from '../native/layout.js'
import { Control } from './control.js'
import { Crew } from './crew.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import type { Program } from './program.js'
import type { WorkerStats } from './stats.js'

/**
 * With a core of its own this thread looks for results so many times as long as workers spin: through a call
 * that reads a few megabytes. Waking a sleeping core takes 50 us and more, where cores are virtual.
 */
const OWN_CORE_LOOK = 20

/**
 * How long this thread works at each turn of its event loop where it has no core of its own: a tenth of what
 * timers are exact to, and so long that the turns themselves take less than 2 % of it.
 */
const TURN_NANOS = 100e3

/** All workers dead so many times without one program complete in between: they cannot work at all. */
const DEATHS_IN_A_ROW = 4

/** A blocking call counts a worker as dead where nobody has done anything for so long. */
const STANDSTILL_NANOS = 5e9

export interface RegionOptions {
  threads: number
  /** How long a worker spins before it sleeps. */
  spinMicros: number
  /** Of the file that workers run. */
  workerUrl: string
  /** CPUs that they may run on; null: all that the process may. */
  cpus: readonly number[] | null
}

/** A program between the call and the end of its last unit. */
interface Flight {
  program: Program
  /** Of no meaning while it waits for a slot of the ring. */
  epoch: number
  /** Settles with the program's fault, or before the program ends where the call fails; none where the caller blocks. */
  deferred: AbortableDeferred<number> | undefined
}

/**
 * The JavaScript half of the region (the other is native/src/region.c): fills the ring of programs,
 * rings the doorbell, and settles promises.
 */
export class Region implements Engine {
  readonly threads: number
  readonly isa: string
  readonly #control: Control
  readonly #crew: Crew
  /** Whether this thread works in the place of the last worker while it waits for results. */
  readonly #takesPart: boolean
  /** How long this thread looks for results before it waits for notice of them. */
  readonly #lookMillis: number
  /** By epoch modulo the ring's length. */
  readonly #ring: (Flight | undefined)[]
  readonly #waiting: Flight[] = []
  #published = 0
  /** The last program that is settled as all before it are; never further behind than the ring is long. */
  #settled = 0
  #publishedBefore = 0
  #inFlight = 0
  #deaths = 0
  /** Until when to look for results rather than wait for notice of them; 0 while nobody looks. */
  #lookUntil = 0
  #end: PoolClosedError | PoolBrokenError | undefined

  constructor(native: Native, options: RegionOptions) {
    const { threads, spinMicros, workerUrl, cpus } = options
    this.threads = threads
    this.isa = native.isa()
    this.#takesPart = threads >= usableCpus()
    this.#lookMillis = this.#takesPart ? Infinity : (OWN_CORE_LOOK * spinMicros) / 1000
    this.#ring = new Array(RING).fill(undefined)
    this.#control = new Control(native, threads)
    const work = { workerUrl, cpus, spinNanos: spinMicros * 1000 }
    this.#crew = new Crew(this.#control, work, () => this.#isIdle(), {
      onNotice: () => this.#listen(),
      onDeath: (w, cause) => this.#mourn(w, cause),
      onEnd: (cause) => this.#finish(new PoolBrokenError(cause)),
    })
  }

  async start(pool: object): Promise<void> {
    this.#crew.start(pool)
    await this.#crew.allUp
    if (this.#end !== undefined) {
      await this.#crew.end()
      throw this.#end
    }
  }

  rowStride(k: number): number {
    return this.#control.native.rowStride(this.#control.address, k)
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
    const deferred = new AbortableDeferred<number>(signal, () => this.#drop(flight))
    const flight: Flight = { program, epoch: 0, deferred }
    this.#waiting.push(flight)
    this.#publishWaiting()
    return deferred.promise
  }

  runSync(program: Program): number {
    if (this.#end !== undefined) {
      program.release?.()
      throw this.#end
    }
    let epoch: number
    try {
      this.#awaitSlot()
      this.#control.seats = this.threads - 1
      epoch = this.#publish(program, true)
    } catch (error) {
      program.release?.()
      throw error
    }
    this.#board({ program, epoch, deferred: undefined })
    this.#crew.wake(this.threads - 1)
    try {
      this.#help(epoch)
      return this.#control.fault(epoch)
    } finally {
      this.#settleCompleted()
      if (this.#inFlight > 0 && !this.#isWorking) this.#seatAll()
    }
  }

  stats(): WorkerStats[] {
    return Array.from({ length: this.threads + 1 }, (_, w) => this.#control.stats(w))
  }

  async close(): Promise<void> {
    this.#finish(new PoolClosedError())
    await this.#crew.end()
    for (const flight of this.#ring) flight?.program.release?.()
    this.#ring.fill(undefined)
  }

  // ---- publishing -------------------------------------------------------------------------------

  #nextEpoch(): number {
    return (this.#published + 1) >>> 0
  }

  #publish(program: Program, silent: boolean): number {
    const epoch = this.#nextEpoch()
    this.#control.publish(program, epoch, silent)
    this.#published = epoch
    return epoch
  }

  /** Publishes the calls that wait, as far as the ring has room. */
  #publishWaiting(): void {
    while (this.#waiting.length > 0) {
      const slot = this.#nextEpoch() % this.#ring.length
      if (this.#ring[slot] !== undefined) return
      const flight = this.#waiting.shift() as Flight
      if (this.#inFlight === 0) this.#look()
      const seats = this.#isWorking ? this.threads - 1 : this.threads
      this.#control.seats = seats
      try {
        flight.epoch = this.#publish(flight.program, false)
      } catch (error) {
        // there was no memory for what the program needs besides
        flight.program.release?.()
        flight.deferred?.reject(error)
        continue
      }
      this.#board(flight)
      this.#crew.wake(seats)
    }
  }

  /** Takes charge of a program that was published. */
  #board(flight: Flight): void {
    this.#ring[flight.epoch % this.#ring.length] = flight
    this.#inFlight++
  }

  /** Works until the ring has room for the next program. */
  #awaitSlot(): void {
    for (;;) {
      const before = this.#ring[this.#nextEpoch() % this.#ring.length]
      if (before === undefined) return
      this.#help(before.epoch)
      this.#settleCompleted()
    }
  }

  /**
   * Works until program `epoch` is complete.
   *
   * @throws WorkerDiedError if it will not be before this thread has heard of a worker's death
   */
  #help(epoch: number): void {
    let before: number | undefined
    while (!this.#control.help(epoch, STANDSTILL_NANOS)) {
      const units = this.#unitsRun()
      if (units === before) throw new WorkerDiedError('no thread has done anything for seconds')
      before = units
    }
  }

  #unitsRun(): number {
    return this.stats().reduce((sum, { tiles }) => sum + tiles, 0)
  }

  // ---- settling ---------------------------------------------------------------------------------

  /** Settles what is complete; what completes from here on brings a notice. */
  #listen(): void {
    this.#control.noticed = false
    this.#settleCompleted()
  }

  /**
   * Looks for results at every turn of the event loop, for waking it takes longer than a small call. Begins
   * when the first call goes out; while several are, there is always work to go on with, and notice comes
   * early enough.
   *
   * Where workers have every core, looking alone would take one of them away. There this thread does the last
   * worker's share meanwhile, a little at each turn, and goes on until all is done: while it slept, the system
   * would leave two workers on one core for milliseconds, with the other core idle. Only where a single unit
   * of work takes too long for that, it does sleep.
   */
  #look(): void {
    const looking = this.#lookUntil > 0
    this.#lookUntil = performance.now() + this.#lookMillis
    if (looking) return
    this.#control.noticed = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    if (this.#end !== undefined) return
    const hasShortUnits = !this.#takesPart || this.#inFlight === 0 || this.#takeTurn()
    this.#settleCompleted()
    if (hasShortUnits && this.#inFlight > 0 && performance.now() < this.#lookUntil) {
      setImmediate(() => this.#turn())
    } else {
      this.#rest()
    }
  }

  /** Works on what is in flight, until the oldest of it is complete or the turn is over. False: it cannot. */
  #takeTurn(): boolean {
    return this.#control.helpBriefly((this.#settled + 1) >>> 0, TURN_NANOS)
  }

  /** Leaves the work to all workers, and waits for notice. */
  #rest(): void {
    this.#lookUntil = 0
    if (this.#inFlight > 0) this.#seatAll()
    this.#listen()
  }

  /** Whether this thread does the last worker's share, which sits out meanwhile. */
  get #isWorking(): boolean {
    return this.#takesPart && this.#lookUntil > 0
  }

  #seatAll(): void {
    this.#control.seats = this.threads
    this.#crew.wake(this.threads)
  }

  /** Settles what is complete, the oldest first, and publishes what waited for a slot. */
  #settleCompleted(): void {
    while (this.#settled !== this.#published) {
      const epoch = (this.#settled + 1) >>> 0
      const slot = epoch % this.#ring.length
      const flight = this.#ring[slot]
      // in order: a later one is complete, if at all, by a claim's time before this one
      if (flight !== undefined && !this.#control.isComplete(epoch)) break
      this.#settled = epoch
      if (flight === undefined) continue
      this.#ring[slot] = undefined
      this.#inFlight--
      this.#deaths = 0
      flight.program.release?.()
      flight.deferred?.resolve(this.#control.fault(epoch))
    }
    this.#publishWaiting()
  }

  /** Rejects a call before its program is complete. */
  #fail(flight: Flight, error: unknown): void {
    if (flight.deferred?.reject(error)) this.#drop(flight)
  }

  /** Takes the program of a rejected call out of the queue, or lets workers skip what they have not begun. */
  #drop(flight: Flight): void {
    const at = this.#waiting.indexOf(flight)
    if (at >= 0) {
      this.#waiting.splice(at, 1)
      flight.program.release?.()
    } else {
      // its memory is released when the slot completes
      this.#control.abort(flight.epoch)
    }
  }

  /** Rejects the call that the dead worker was part of; all others go on. */
  #mourn(w: number, cause: unknown): void {
    const epoch = this.#control.programOf(w)
    // it may have died on its way to tell us of completed programs
    this.#listen()
    const flight = epoch === undefined ? undefined : this.#ring[epoch % this.#ring.length]
    if (flight !== undefined && flight.epoch === epoch) {
      this.#fail(flight, new WorkerDiedError(cause))
    }
    // once its call is rejected: what it had claimed is counted as done, though it may not be
    this.#control.bury(w)
    this.#settleCompleted()
    this.#deaths++
    if (this.#deaths > DEATHS_IN_A_ROW * this.threads) this.#finish(new PoolBrokenError(cause))
    else this.#crew.wake(this.threads)
  }

  /** Ends the region: rejects every call and sends the workers home. */
  #finish(error: PoolClosedError | PoolBrokenError): void {
    this.#end = error
    for (const flight of [...this.#waiting, ...this.#ring]) {
      if (flight !== undefined) this.#fail(flight, error)
    }
    this.#control.stop()
    this.#crew.sendHome()
  }

  /** Whether nothing was called since this was last asked. */
  #isIdle(): boolean {
    const idle = this.#inFlight === 0 && this.#published === this.#publishedBefore
    this.#publishedBefore = this.#published
    return idle
  }
}

import { AbortableDeferred } from '../abort.js'
import { usableCpus } from '../cpus/usable.js'
import { PoolBrokenError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import type { Native } from '../native/abi.js'
import { RING } from '../native/layout.js'
import { Control } from './control.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import type { Program } from './program.js'
import type { WorkerStats } from './stats.js'
import { Supervisor } from './supervisor.js'

/**
 * Where this thread has a core of its own, it polls for results this many times as long as workers spin: as long as a
 * call that reads a few megabytes. To wake a sleeping core takes 50 us and more where cores are virtual.
 */
const POLLS_PER_SPIN = 20

/**
 * How long this thread runs units in each turn of its event loop, where it has no core of its own: a quarter of a
 * timer's precision. The turns themselves took 13 us on two cores of a virtual machine, a tenth of 100 us of work.
 */
const TURN_NANOS = 250e3

/** Deaths per worker, without a program completed in between, before the pool counts as broken. */
const DEATHS_IN_A_ROW = 4

/** A blocking call fails when no thread has completed a unit for this long: then a worker has died in a claim. */
const STANDSTILL_NANOS = 5e9

export interface RegionOptions {
  threads: number
  /** How long a worker spins before it sleeps. */
  spinMicros: number
  /** The file that workers run. */
  workerUrl: string
  /** CPUs that workers may run on; null for all that the process may use. */
  cpus: readonly number[] | null
}

/** A call, from when it is made until its program has ended. */
interface Call {
  program: Program
  /** The program's number; 0 while it waits for a slot of the ring. */
  epoch: number
  /** Settles with the program's fault, or before the program ends if the call fails; none if the caller blocks. */
  deferred: AbortableDeferred<number> | undefined
}

/**
 * The JavaScript half of the region, whose other half is native/src/region.c: fills the ring of programs, rings the
 * doorbell, and settles promises.
 */
export class Region implements Engine {
  readonly threads: number
  readonly isa: string
  readonly #control: Control
  readonly #supervisor: Supervisor
  /** Whether this thread replaces the last worker while it polls: there is no core left for it to poll on. */
  readonly #helpsWhilePolling: boolean
  /** How long this thread polls for results before it waits for a worker's message. */
  readonly #pollMillis: number
  /** Calls whose programs were published, at their epoch modulo the ring's length. */
  readonly #ring: (Call | undefined)[]
  /** Calls that wait for a slot of the ring. */
  readonly #waiting: Call[] = []
  /** The last program that was published. */
  #published = 0
  /** The last program that is settled as all before it are; never further behind than the ring is long. */
  #settled = 0
  /** What `#published` was when {@link #isIdle} was last called. */
  #publishedBefore = 0
  #inFlight = 0
  /** Deaths of workers since a program was completed. */
  #deaths = 0
  /** When this thread stops polling for results; 0 while it does not poll. */
  #pollUntil = 0
  #end: PoolClosedError | PoolBrokenError | undefined

  constructor(native: Native, options: RegionOptions) {
    const { threads, spinMicros, workerUrl, cpus } = options
    this.threads = threads
    this.isa = native.isa()
    this.#helpsWhilePolling = threads >= usableCpus()
    this.#pollMillis = this.#helpsWhilePolling ? Infinity : (POLLS_PER_SPIN * spinMicros) / 1000
    this.#ring = new Array(RING).fill(undefined)
    this.#control = new Control(native, threads)
    const settings = { workerUrl, cpus, spinNanos: spinMicros * 1000 }
    this.#supervisor = new Supervisor(this.#control, settings, () => this.#isIdle(), {
      onNotice: () => this.#settleAndRequestNotice(),
      onDeath: (w, cause) => this.#onWorkerDeath(w, cause),
      onEnd: (cause) => this.#stop(new PoolBrokenError(cause)),
    })
  }

  async start(pool: object): Promise<void> {
    this.#supervisor.start(pool)
    await this.#supervisor.allStarted
    if (this.#end !== undefined) {
      await this.#supervisor.end()
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
    const deferred = new AbortableDeferred<number>(signal, () => this.#drop(call))
    const call: Call = { program, epoch: 0, deferred }
    this.#waiting.push(call)
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
    this.#track({ program, epoch, deferred: undefined })
    this.#supervisor.wake(this.threads - 1)
    try {
      this.#help(epoch)
      return this.#control.fault(epoch)
    } finally {
      this.#settleCompleted()
      if (this.#inFlight > 0 && !this.#isHelping) this.#useAllWorkers()
    }
  }

  stats(): WorkerStats[] {
    return Array.from({ length: this.threads + 1 }, (_, w) => this.#control.stats(w))
  }

  async close(): Promise<void> {
    this.#stop(new PoolClosedError())
    await this.#supervisor.end()
    for (const call of this.#ring) call?.program.release?.()
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

  /** Publishes waiting calls while the ring has room. */
  #publishWaiting(): void {
    while (this.#waiting.length > 0) {
      const slot = this.#nextEpoch() % this.#ring.length
      if (this.#ring[slot] !== undefined) return
      const call = this.#waiting.shift() as Call
      if (this.#inFlight === 0) this.#poll()
      const seats = this.#isHelping ? this.threads - 1 : this.threads
      this.#control.seats = seats
      try {
        call.epoch = this.#publish(call.program, false)
      } catch (error) {
        // there is no memory for the program's temporary buffers
        call.program.release?.()
        call.deferred?.reject(error)
        continue
      }
      this.#track(call)
      this.#supervisor.wake(seats)
    }
  }

  /** Keeps a call whose program was published until that has ended. */
  #track(call: Call): void {
    this.#ring[call.epoch % this.#ring.length] = call
    this.#inFlight++
  }

  /** Runs units until the ring has room for the next program. */
  #awaitSlot(): void {
    for (;;) {
      const before = this.#ring[this.#nextEpoch() % this.#ring.length]
      if (before === undefined) return
      this.#help(before.epoch)
      this.#settleCompleted()
    }
  }

  /**
   * Runs units until program `epoch` is complete.
   *
   * @throws WorkerDiedError if a worker died in a claim: this thread learns of a death only in its event loop
   */
  #help(epoch: number): void {
    let before: number | undefined
    while (!this.#control.help(epoch, STANDSTILL_NANOS)) {
      const units = this.#unitsRun()
      if (units === before)
        throw new WorkerDiedError('no thread has completed a unit of work for seconds')
      before = units
    }
  }

  #unitsRun(): number {
    return this.stats().reduce((sum, { units }) => sum + units, 0)
  }

  // ---- settling ---------------------------------------------------------------------------------

  /** Settles complete programs; workers send a message when others complete. */
  #settleAndRequestNotice(): void {
    this.#control.noticesSuppressed = false
    this.#settleCompleted()
  }

  /**
   * Polls for results in every turn of the event loop, because a message takes longer to arrive than a small call
   * takes. Starts with the first call in flight; while several are in flight, workers always have something to do,
   * and messages arrive early enough.
   *
   * Where workers occupy every core, polling alone would take one of the cores away. There this thread replaces the
   * last worker and runs units, for a little of each turn, until no call is in flight: while it slept, the system
   * would leave two workers on one core for milliseconds, and the other core idle. It stops polling only where a
   * single unit takes longer than a turn may.
   */
  #poll(): void {
    const isPolling = this.#pollUntil > 0
    this.#pollUntil = performance.now() + this.#pollMillis
    if (isPolling) return
    this.#control.noticesSuppressed = true
    setImmediate(() => this.#pollOnce())
  }

  #pollOnce(): void {
    if (this.#end !== undefined) return
    const hasShortUnits = !this.#helpsWhilePolling || this.#inFlight === 0 || this.#helpBriefly()
    this.#settleCompleted()
    if (hasShortUnits && this.#inFlight > 0 && performance.now() < this.#pollUntil) {
      setImmediate(() => this.#pollOnce())
    } else {
      this.#stopPolling()
    }
  }

  /** Runs units until the oldest program in flight is complete or the turn is over. False: a unit takes too long. */
  #helpBriefly(): boolean {
    return this.#control.helpBriefly((this.#settled + 1) >>> 0, TURN_NANOS)
  }

  /** Leaves the work to all workers, and waits for their messages. */
  #stopPolling(): void {
    this.#pollUntil = 0
    if (this.#inFlight > 0) this.#useAllWorkers()
    this.#settleAndRequestNotice()
  }

  /** Whether this thread runs units in the place of the last worker, which sits out meanwhile. */
  get #isHelping(): boolean {
    return this.#helpsWhilePolling && this.#pollUntil > 0
  }

  #useAllWorkers(): void {
    this.#control.seats = this.threads
    this.#supervisor.wake(this.threads)
  }

  /** Settles the calls of complete programs, the oldest first, and publishes calls that waited for a slot. */
  #settleCompleted(): void {
    while (this.#settled !== this.#published) {
      const epoch = (this.#settled + 1) >>> 0
      const slot = epoch % this.#ring.length
      const call = this.#ring[slot]
      // in order: a later program completes at most the time of one claim before this one
      if (call !== undefined && !this.#control.isComplete(epoch)) break
      this.#settled = epoch
      if (call === undefined) continue
      this.#ring[slot] = undefined
      this.#inFlight--
      this.#deaths = 0
      call.program.release?.()
      call.deferred?.resolve(this.#control.fault(epoch))
    }
    this.#publishWaiting()
  }

  /** Rejects a call before its program is complete. */
  #fail(call: Call, error: unknown): void {
    if (call.deferred?.reject(error)) this.#drop(call)
  }

  /** Removes a rejected call from the queue, or lets workers skip those units of its program that none has claimed. */
  #drop(call: Call): void {
    const at = this.#waiting.indexOf(call)
    if (at >= 0) {
      this.#waiting.splice(at, 1)
      call.program.release?.()
    } else {
      // its memory is released when the slot completes
      this.#control.abort(call.epoch)
    }
  }

  /** Rejects the call whose program the dead worker was running; all others go on. */
  #onWorkerDeath(w: number, cause: unknown): void {
    const epoch = this.#control.programOf(w)
    // it may have died before it could send its message of completed programs
    this.#settleAndRequestNotice()
    const call = epoch === undefined ? undefined : this.#ring[epoch % this.#ring.length]
    if (call !== undefined && call.epoch === epoch) this.#fail(call, new WorkerDiedError(cause))
    // only once its call is rejected, because this counts the units of its claim as done
    this.#control.retire(w)
    this.#settleCompleted()
    this.#deaths++
    if (this.#deaths > DEATHS_IN_A_ROW * this.threads) this.#stop(new PoolBrokenError(cause))
    else this.#supervisor.wake(this.threads)
  }

  /** Stops the region: rejects every call, and lets the workers leave. */
  #stop(error: PoolClosedError | PoolBrokenError): void {
    this.#end = error
    for (const call of [...this.#waiting, ...this.#ring]) {
      if (call !== undefined) this.#fail(call, error)
    }
    this.#control.stop()
    this.#supervisor.stop()
  }

  /** Whether no program was published since the last call of this, and none is in flight. */
  #isIdle(): boolean {
    const idle = this.#inFlight === 0 && this.#published === this.#publishedBefore
    this.#publishedBefore = this.#published
    return idle
  }
}

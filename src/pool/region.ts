import { usableCpus } from '../cpus/usable.js'
import { PoolBrokenError, PoolClosedError, QueueFullError, WorkerDiedError } from '../errors.js'
import type { Native } from '../native/native.js'
import { heed } from './abort.js'
import { Control } from './control.js'
import { Crew } from './crew.js'
import { type Engine, QUEUE_LIMIT } from './engine.js'
import type { Program } from './program.js'
import type { WorkerStats } from './stats.js'

/**
 * How long this thread looks for results where workers have every core, so that it takes one of them
 * away: as long as a small call, and little beside a large one.
 */
const CROWDED_LOOK_MILLIS = 0.01

/**
 * With a core of its own it looks so many times as long as workers spin: through a call that reads a few
 * megabytes. Waking a sleeping core takes 50 us and more, where cores are virtual.
 */
const OWN_CORE_LOOK = 20

/** All workers dead so many times without one program complete in between: they cannot work at all. */
const DEATHS_IN_A_ROW = 4

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
 * rings the doorbell, and settles promises.
 */
export class Region implements Engine {
  readonly threads: number
  readonly isa: string
  readonly #control: Control
  readonly #crew: Crew
  /** How long this thread looks for results before it waits for notice of them. */
  readonly #lookMillis: number
  /** By epoch modulo the ring's length. */
  readonly #ring: (Flight | undefined)[]
  readonly #waiting: Flight[] = []
  #published = 0
  #publishedBefore = 0
  #inFlight = 0
  #deaths = 0
  /** Until when to look for results rather than wait for notice of them; 0 while nobody looks. */
  #lookUntil = 0
  #end: PoolClosedError | PoolBrokenError | undefined

  private constructor(native: Native, options: RegionOptions) {
    const { threads, spinMicros, workerUrl, cpus } = options
    this.threads = threads
    this.isa = native.isa()
    const hasOwnCore = threads < usableCpus()
    this.#lookMillis = hasOwnCore ? (OWN_CORE_LOOK * spinMicros) / 1000 : CROWDED_LOOK_MILLIS
    this.#ring = new Array(native.layout.ringLength).fill(undefined)
    this.#control = new Control(native, threads)
    const work = { workerUrl, cpus, spinNanos: spinMicros * 1000 }
    this.#crew = new Crew(this.#control, work, () => this.#isIdle(), {
      onNotice: () => this.#listen(),
      onDeath: (w, cause) => this.#mourn(w, cause),
      onEnd: () => this.#finish(new PoolBrokenError('threads die as they start')),
    })
  }

  /** Starts the workers and waits until all are up. */
  static async start(native: Native, options: RegionOptions): Promise<Region> {
    const region = new Region(native, options)
    region.#crew.wake(options.threads)
    await region.#crew.allUp
    if (region.#end !== undefined) {
      await region.#crew.end()
      throw region.#end
    }
    return region
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
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#fail(flight, signal?.reason)
      const flight: Flight = { program, epoch: 0, resolve, reject, settled: false, signal, onAbort }
      heed(signal, onAbort)
      this.#waiting.push(flight)
      this.#publishWaiting()
    })
  }

  runSync(program: Program): number {
    if (this.#end !== undefined) {
      program.release?.()
      throw this.#end
    }
    const { native, address } = this.#control
    let before = this.#ring[this.#nextEpoch() % this.#ring.length]
    while (before !== undefined) {
      native.help(address, before.epoch)
      this.#settleCompleted()
      before = this.#ring[this.#nextEpoch() % this.#ring.length]
    }
    try {
      const epoch = this.#publish(program, true)
      this.#crew.wake(this.threads - 1)
      native.help(address, epoch)
      return this.#control.fault(epoch)
    } finally {
      program.release?.()
      if (this.#inFlight > 0) this.#settleCompleted()
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
      try {
        flight.epoch = this.#publish(flight.program, false)
      } catch (error) {
        // there was no memory for what the program needs besides
        flight.program.release?.()
        if (settle(flight)) flight.reject(error)
        continue
      }
      this.#ring[slot] = flight
      this.#inFlight++
      this.#crew.wake(this.threads)
      if (this.#inFlight === 1) this.#look()
    }
  }

  // ---- settling ---------------------------------------------------------------------------------

  /** Settles what is complete; what completes from here on brings a notice. */
  #listen(): void {
    this.#control.noticed = false
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
    this.#control.noticed = true
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

  /** Settles what is complete, the oldest first, and publishes what waited for a slot. */
  #settleCompleted(): void {
    for (let age = this.#ring.length - 1; age >= 0 && this.#inFlight > 0; age--) {
      const slot = ((this.#published - age) >>> 0) % this.#ring.length
      const flight = this.#ring[slot]
      if (flight === undefined) continue
      // in order: a later one is complete, if at all, by a claim's time before this one
      if (!this.#control.isComplete(flight.epoch)) break
      this.#ring[slot] = undefined
      this.#inFlight--
      this.#deaths = 0
      flight.program.release?.()
      if (settle(flight)) flight.resolve(this.#control.fault(flight.epoch))
    }
    this.#publishWaiting()
  }

  /** Rejects a call before its program is complete. */
  #fail(flight: Flight, error: unknown): void {
    if (!settle(flight)) return
    flight.reject(error)
    if (flight.epoch === 0) {
      this.#waiting.splice(this.#waiting.indexOf(flight), 1)
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
    else if (this.#inFlight > 0 || !this.#crew.isUp) this.#crew.wake(this.threads)
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

/** Marks a flight as settled. False: it was already. */
function settle(flight: Flight): boolean {
  if (flight.settled) return false
  flight.settled = true
  flight.signal?.removeEventListener('abort', flight.onAbort)
  return true
}

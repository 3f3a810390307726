import type { Piscina } from 'piscina'
import { Seat } from '../native/native.js'
import type { Control } from './control.js'
import { openGate, shut } from './gate.js'
import { startThreads } from './threads.js'
import type { Residency, WorkerMessage, WorkerStart } from './worker.js'

/** A worker leaves C at least this often, so that terminate() and process.exit() are prompt. */
const SLICE_NANOS = 10e6

/** A worker that saw no call for so long waits in Piscina, where it does not keep the process alive. */
const RESIDENT_MILLIS = 100

/** What its threads run, and how. */
export interface Work {
  /** Of the file, as Piscina wants it. */
  workerUrl: string
  /** CPUs that they may run on; null: all that the process may. */
  cpus: readonly number[] | null
  /** How long a worker spins before it sleeps. */
  spinNanos: number
}

/** What a crew tells of. */
export interface CrewEvents {
  /** Programs are complete. */
  onNotice(): void
  /** The thread on seat `w` died; the seat is free. */
  onDeath(w: number, cause: unknown): void
  /** Threads die as they start, and will not be replaced. */
  onEnd(): void
}

/**
 * The worker threads of a region and their seats. A seat is empty while its worker waits in Piscina,
 * taken while it runs programs or spins, parked while it sleeps, and dismissed from when it is told to
 * leave until it has.
 */
export class Crew {
  readonly #control: Control
  readonly #spinNanos: number
  readonly #events: CrewEvents
  readonly #piscina: Piscina
  readonly #gate = openGate()
  /** Seats that have had a worker. */
  readonly #up = new Set<number>()
  readonly #allUp: Promise<void>
  #resolveAllUp: () => void = () => {}
  readonly #isIdle: () => boolean
  #dismissal: NodeJS.Timeout | undefined
  #ended = false

  /** @param isIdle whether nothing was called since it was last asked */
  constructor(control: Control, work: Work, isIdle: () => boolean, events: CrewEvents) {
    const { threads } = control
    this.#control = control
    this.#spinNanos = work.spinNanos
    this.#isIdle = isIdle
    this.#events = events
    this.#allUp = new Promise((resolve) => {
      this.#resolveAllUp = resolve
    })
    const { handle } = control.native
    const start: WorkerStart = { handle, cpus: work.cpus, gate: this.#gate }
    this.#piscina = startThreads(threads, { filename: work.workerUrl, workerData: start })
    this.#piscina.on('message', (message: WorkerMessage) => this.#hear(message))
    this.#piscina.on('workerDestroy', () => setImmediate(() => this.#count()))
  }

  /** Resolves once every seat has had a worker, or the crew is sent home. */
  get allUp(): Promise<void> {
    return this.#allUp
  }

  get isUp(): boolean {
    return this.#up.size === this.#control.threads
  }

  /** Sees to it that workers 0 .. count - 1 are awake or will be: notifies who parked, enlists who left. */
  wake(count: number): void {
    const { words } = this.#control
    for (let w = 0; w < count; w++) {
      const seat = this.#control.seat(w)
      const state = Atomics.load(words, seat)
      if (state === Seat.taken) continue
      if (state === Seat.empty) {
        this.#enlist(w)
        continue
      }
      const before = Atomics.compareExchange(words, seat, state, Seat.taken)
      if (before === Seat.parked) Atomics.notify(words, seat, 1)
      // dismissed, it has left in this very moment; or it stays after all, being awake already
      else if (before === Seat.empty) this.#enlist(w)
    }
  }

  /** Tells all workers that the region has stopped. */
  sendHome(): void {
    const { words, threads } = this.#control
    this.#ended = true
    this.#resolveAllUp()
    clearInterval(this.#dismissal)
    for (let w = 0; w < threads; w++) {
      const seat = this.#control.seat(w)
      Atomics.compareExchange(words, seat, Seat.parked, Seat.taken)
      Atomics.notify(words, seat, 1)
    }
  }

  /** Ends the threads; resolves once none is left that may write to memory. */
  async end(): Promise<void> {
    await shut(this.#gate)
    await this.#piscina.destroy()
  }

  #hear(message: WorkerMessage): void {
    if (message === null) {
      this.#events.onNotice()
    } else {
      this.#up.add(message)
      if (this.isUp) this.#resolveAllUp()
    }
  }

  #enlist(w: number): void {
    const { words, address } = this.#control
    Atomics.store(words, this.#control.seat(w), Seat.taken)
    const task: Residency = {
      control: words,
      address,
      index: w,
      spinNanos: this.#spinNanos,
      sliceNanos: SLICE_NANOS,
    }
    this.#piscina.run(task).catch((error) => this.#bury(w, error))
    this.#dismissal ??= setInterval(() => this.#dismissIdle(), RESIDENT_MILLIS).unref()
  }

  #bury(w: number, cause: unknown): void {
    if (this.#ended) return
    Atomics.store(this.#control.words, this.#control.seat(w), Seat.empty)
    this.#events.onDeath(w, cause)
  }

  /** Piscina replaces a thread that dies, unless threads die as they start. */
  #count(): void {
    if (!this.#ended && this.#piscina.threads.length < this.#control.threads) this.#events.onEnd()
  }

  /** Lets parked workers go if nothing was called for a while. */
  #dismissIdle(): void {
    if (!this.#isIdle()) return
    const { words, threads } = this.#control
    let resident = 0
    for (let w = 0; w < threads; w++) {
      const seat = this.#control.seat(w)
      const state = Atomics.compareExchange(words, seat, Seat.parked, Seat.dismissed)
      if (state === Seat.parked) Atomics.notify(words, seat, 1)
      // one that is dismissed may stay after all, if a call comes in this very moment
      if (state !== Seat.empty) resident++
    }
    if (resident > 0) return
    clearInterval(this.#dismissal)
    this.#dismissal = undefined
  }
}

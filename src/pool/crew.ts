import { Seat } from '../native/layout.js'
import type { Control } from './control.js'
import { closeGate, openGate } from './gate.js'
import { Thread } from './threads.js'
import type { Residency, WorkerMessage, WorkerStart } from './worker.js'
import { WorkerReports } from './worker-reports.js'

/** A worker leaves C at least this often, so that terminate() and process.exit() are prompt. */
const SLICE_NANOS = 10e6

/** So long no thread is asked for after the system refused one. */
const REFUSED_MILLIS = 100

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
  /** The system refuses threads, and there are none to go on with. */
  onEnd(cause: unknown): void
}

/**
 * The worker threads of a region and their seats. A seat is empty while its worker waits in Piscina,
 * taken while it runs programs or spins, parked while it sleeps, and dismissed from when it is told to
 * leave until it has.
 */
export class Crew {
  readonly #control: Control
  readonly #work: Work
  readonly #events: CrewEvents
  readonly #gate = openGate()
  /** By seat, from when a worker is first needed there. */
  readonly #threads: (Thread | undefined)[] = []
  #refusedUntil = 0
  /** Seats that have had a worker. */
  readonly #up = new Set<number>()
  readonly #allUp: Promise<void>
  #resolveAllUp: () => void = () => {}
  readonly #isIdle: () => boolean
  #reports: WorkerReports | undefined
  #dismissal: NodeJS.Timeout | undefined
  #ended = false

  /** @param isIdle whether nothing was called since it was last asked */
  constructor(control: Control, work: Work, isIdle: () => boolean, events: CrewEvents) {
    this.#control = control
    this.#work = work
    this.#isIdle = isIdle
    this.#events = events
    this.#allUp = new Promise((resolve) => {
      this.#resolveAllUp = resolve
    })
  }

  /** Resolves once every seat has had a worker, or the crew is sent home. */
  get allUp(): Promise<void> {
    return this.#allUp
  }

  /** Starts a worker on every seat, for the first time. */
  start(pool: object): void {
    this.#reports = new WorkerReports(pool)
    this.wake(this.#control.threads)
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
    await Promise.all(this.#threads.map((thread) => thread?.end()))
    closeGate(this.#gate)
  }

  #hear(message: WorkerMessage): void {
    if (message === null) {
      this.#events.onNotice()
    } else {
      this.#up.add(message)
      this.#reports?.serves(message)
      if (this.isUp) this.#resolveAllUp()
    }
  }

  #enlist(w: number): void {
    if (this.#ended) return
    if (this.#threads[w] === undefined) {
      if (this.#hasThreads && performance.now() < this.#refusedUntil) return
      this.#threads[w] = this.#createThread(w)
    }
    const thread = this.#threads[w]
    const { words, address } = this.#control
    Atomics.store(words, this.#control.seat(w), Seat.taken)
    const task: Residency = {
      control: words,
      address,
      index: w,
      spinNanos: this.#work.spinNanos,
      sliceNanos: SLICE_NANOS,
    }
    thread.run(task).catch((error) => this.#lose(w, thread, error))
    this.#dismissal ??= setInterval(() => this.#dismissIdle(), RESIDENT_MILLIS).unref()
  }

  #createThread(w: number): Thread {
    const { workerUrl: filename, cpus } = this.#work
    const { handle } = this.#control.native
    const workerData: WorkerStart = { handle, cpus, gate: this.#gate }
    const thread = new Thread({
      filename,
      workerData,
      onMessage: (message) => this.#hear(message as WorkerMessage),
      onDeath: (cause) => this.#lose(w, thread, cause),
    })
    return thread
  }

  /** The thread on seat `w` does not work any more, or never did; once for each. */
  #lose(w: number, thread: Thread, cause: unknown): void {
    if (this.#ended || this.#threads[w] !== thread) return
    this.#threads[w] = undefined
    Atomics.store(this.#control.words, this.#control.seat(w), Seat.empty)
    if (thread.started) {
      void thread.end()
      this.#reports?.died(w, cause)
      this.#events.onDeath(w, cause)
    } else {
      this.#refusedUntil = performance.now() + REFUSED_MILLIS
      // others do the work meanwhile, if there are any
      if (!this.#hasThreads || !this.isUp) this.#events.onEnd(cause)
    }
  }

  get #hasThreads(): boolean {
    return this.#threads.some((thread) => thread !== undefined)
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

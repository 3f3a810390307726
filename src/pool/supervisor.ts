import { Seat } from '../native/layout.js'
import type { Control } from './control.js'
import { closeGate, openGate } from './gate.js'
import { Thread } from './threads.js'
import type { ResidentTask, WorkerMessage, WorkerStart } from './worker.js'
import { WorkerReports } from './worker-reports.js'

/** A worker leaves C at least this often, so that terminate() and process.exit() take effect soon. */
const SLICE_NANOS = 10e6

/** How long no thread is started after the system refused one. */
const REFUSED_MILLIS = 100

/** A worker that has seen no call for this long waits in Piscina, where it does not keep the process alive. */
const RESIDENT_MILLIS = 100

/** What the worker threads run, and where. */
export interface WorkerSettings {
  /** The file that they run, as Piscina takes it. */
  workerUrl: string
  /** CPUs that they may run on; null for all that the process may use. */
  cpus: readonly number[] | null
  /** How long a worker spins before it sleeps. */
  spinNanos: number
}

export interface SupervisorEvents {
  /** A worker sent the message that programs are complete. */
  onNotice(): void
  /** The thread of worker `w` died; its seat is free. */
  onDeath(w: number, cause: unknown): void
  /** The system refuses threads, and there are not enough of them to run programs. */
  onEnd(cause: unknown): void
}

/**
 * Starts the worker threads of a region, wakes them, and replaces those that die. Each has a seat, the word of shared
 * memory that holds its state: empty while the worker waits in Piscina, taken while it runs programs or spins, parked
 * while it sleeps, and dismissed from when it is told to leave until it has left.
 */
export class Supervisor {
  readonly #control: Control
  readonly #settings: WorkerSettings
  readonly #events: SupervisorEvents
  readonly #gate = openGate()
  /** The thread of each worker, from when it is first needed. */
  readonly #threads: (Thread | undefined)[] = []
  #refusedUntil = 0
  /** Workers that have taken their seats at least once. */
  readonly #started = new Set<number>()
  readonly #allStarted: Promise<void>
  #resolveAllStarted: () => void = () => {}
  readonly #isIdle: () => boolean
  #reports: WorkerReports | undefined
  #dismissing: NodeJS.Timeout | undefined
  #hasStopped = false

  /** @param isIdle whether no program was published since its last call, and none is in flight */
  constructor(
    control: Control,
    settings: WorkerSettings,
    isIdle: () => boolean,
    events: SupervisorEvents,
  ) {
    this.#control = control
    this.#settings = settings
    this.#isIdle = isIdle
    this.#events = events
    this.#allStarted = new Promise((resolve) => {
      this.#resolveAllStarted = resolve
    })
  }

  /** Resolves once every worker has taken its seat, or the supervisor is stopped. */
  get allStarted(): Promise<void> {
    return this.#allStarted
  }

  /** Starts all workers for the first time. */
  start(pool: object): void {
    this.#reports = new WorkerReports(pool)
    this.wake(this.#control.threads)
  }

  /** Wakes workers 0 .. count - 1: notifies those that are parked, and starts those that have left. */
  wake(count: number): void {
    const { words } = this.#control
    for (let w = 0; w < count; w++) {
      const seat = this.#control.seat(w)
      const state = Atomics.load(words, seat)
      if (state === Seat.taken) continue
      if (state === Seat.empty) {
        this.#startWorker(w)
        continue
      }
      const before = Atomics.compareExchange(words, seat, state, Seat.taken)
      if (before === Seat.parked) Atomics.notify(words, seat, 1)
      // a dismissed worker has left at this very moment; otherwise it is awake, and stays
      else if (before === Seat.empty) this.#startWorker(w)
    }
  }

  /** Wakes all workers to see that the region has stopped; starts none from here on. */
  stop(): void {
    const { words, threads } = this.#control
    this.#hasStopped = true
    this.#resolveAllStarted()
    clearInterval(this.#dismissing)
    for (let w = 0; w < threads; w++) {
      const seat = this.#control.seat(w)
      Atomics.compareExchange(words, seat, Seat.parked, Seat.taken)
      Atomics.notify(words, seat, 1)
    }
  }

  /** Ends the threads; resolves once none is left that could write to shared memory. */
  async end(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread?.end()))
    closeGate(this.#gate)
  }

  #onMessage(message: WorkerMessage): void {
    if (message === null) {
      this.#events.onNotice()
    } else {
      this.#started.add(message)
      this.#reports?.runs(message)
      if (this.#haveAllStarted) this.#resolveAllStarted()
    }
  }

  get #haveAllStarted(): boolean {
    return this.#started.size === this.#control.threads
  }

  /** Gives worker `w` its resident task, on a new thread if it has none. */
  #startWorker(w: number): void {
    if (this.#hasStopped) return
    if (this.#threads[w] === undefined) {
      if (this.#hasThreads && performance.now() < this.#refusedUntil) return
      this.#threads[w] = this.#createThread(w)
    }
    const thread = this.#threads[w]
    const { words, address } = this.#control
    Atomics.store(words, this.#control.seat(w), Seat.taken)
    const task: ResidentTask = {
      control: words,
      address,
      index: w,
      spinNanos: this.#settings.spinNanos,
      sliceNanos: SLICE_NANOS,
    }
    thread.run(task).catch((error) => this.#onThreadEnd(w, thread, error))
    this.#dismissing ??= setInterval(() => this.#dismissIdle(), RESIDENT_MILLIS).unref()
  }

  #createThread(w: number): Thread {
    const { workerUrl: filename, cpus } = this.#settings
    const { handle } = this.#control.native
    const workerData: WorkerStart = { handle, cpus, gate: this.#gate }
    const thread = new Thread({
      filename,
      workerData,
      onMessage: (message) => this.#onMessage(message as WorkerMessage),
      onDeath: (cause) => this.#onThreadEnd(w, thread, cause),
    })
    return thread
  }

  /** The thread of worker `w` has died, or the system refused it. Runs once for each thread. */
  #onThreadEnd(w: number, thread: Thread, cause: unknown): void {
    if (this.#hasStopped || this.#threads[w] !== thread) return
    this.#threads[w] = undefined
    Atomics.store(this.#control.words, this.#control.seat(w), Seat.empty)
    if (thread.started) {
      void thread.end()
      this.#reports?.died(w, cause)
      this.#events.onDeath(w, cause)
    } else {
      this.#refusedUntil = performance.now() + REFUSED_MILLIS
      // other workers run the programs meanwhile, if there are any
      if (!this.#hasThreads || !this.#haveAllStarted) this.#events.onEnd(cause)
    }
  }

  get #hasThreads(): boolean {
    return this.#threads.some((thread) => thread !== undefined)
  }

  /** Dismisses parked workers if no program was published for a while. */
  #dismissIdle(): void {
    if (!this.#isIdle()) return
    const { words, threads } = this.#control
    let resident = 0
    for (let w = 0; w < threads; w++) {
      const seat = this.#control.seat(w)
      const state = Atomics.compareExchange(words, seat, Seat.parked, Seat.dismissed)
      if (state === Seat.parked) Atomics.notify(words, seat, 1)
      // a dismissed worker may stay: a program can be published at this very moment
      if (state !== Seat.empty) resident++
    }
    if (resident > 0) return
    clearInterval(this.#dismissing)
    this.#dismissing = undefined
  }
}

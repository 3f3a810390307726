import { setImmediate } from 'node:timers/promises'
import { WorkerDiedError } from '../../errors.js'
import type { Batch, Pick } from './batch.js'
import type { Job } from './job.js'
import type { Step } from './step.js'

/** Rows of prompts that one step takes while other sequences wait for their next id. */
const ROWS_BESIDE_DECODING = 128

/** A step is begun again so many times if a worker dies in it. */
const ATTEMPTS = 3

// biome-ignore lint/suspicious/noExplicitAny: what a job comes to is its caller's business
type AnyJob = Job<any>

/** What a model has done since it was loaded. */
export interface ModelStats {
  /** Programs from ids to logits. */
  steps: number
  /** Ids that went through, over all steps. */
  ids: number
  /** In steps, microseconds. */
  micros: number
}

/** A job's part of a step: its ids [from, from + count). */
interface Part {
  job: AnyJob
  from: number
  count: number
  /** The index of the id behind each output, and the output's number. */
  outputs: { i: number; output: number }[]
}

/**
 * Runs jobs of any number of sequences through one network, all that wait together in one step: those
 * that draw their next id first, then as many ids of prompts as there is room for. Rows do not see each
 * other, so every sequence gets the bits it would get alone.
 */
export class Scheduler {
  readonly #step: Step
  readonly #batch: Batch
  readonly #jobs: AnyJob[] = []
  readonly stats: ModelStats = { steps: 0, ids: 0, micros: 0 }
  #running = false
  /** Jobs that are not through, and one for each sequence that got an id and will ask for the next. */
  #expected = 0

  constructor(step: Step) {
    this.#step = step
    this.#batch = step.batch
  }

  /** Queues a job. One sequence, one job at a time. */
  run<Result>(job: Job<Result>): Promise<Result> {
    if (!job.settled) {
      this.#jobs.push(job)
      if (!this.#running) this.#work()
    }
    return job.result
  }

  /** Fails all jobs. */
  end(error: unknown): void {
    for (const job of this.#jobs) job.fail(error)
  }

  async #work(): Promise<void> {
    this.#running = true
    do {
      // who got an id shall have the time to ask for the next
      if (this.#jobs.length < this.#expected) await setImmediate()
      const parts = this.#compose()
      if (parts.length > 0) await this.#run(parts)
    } while (this.#jobs.length > 0 || (await this.#anyMore()))
    this.#expected = 0
    this.#running = false
  }

  async #anyMore(): Promise<boolean> {
    await setImmediate()
    return this.#jobs.length > 0
  }

  /** Fills the batch from the queue. */
  #compose(): Part[] {
    const batch = this.#batch
    batch.clear()
    this.#dropSettled()
    const decoding = this.#jobs.filter(({ remaining }) => remaining === 1)
    const reading = this.#jobs.filter(({ remaining }) => remaining > 1)
    const parts: Part[] = []
    for (const job of decoding) this.#add(parts, job, batch.maxRows - batch.rows)
    const room = batch.maxRows - batch.rows
    let left = decoding.length === 0 ? room : Math.min(room, ROWS_BESIDE_DECODING)
    for (const job of reading) left -= this.#add(parts, job, left)
    return parts
  }

  #dropSettled(): void {
    const open = this.#jobs.filter(({ settled }) => !settled)
    this.#jobs.splice(0, this.#jobs.length, ...open)
  }

  /** Adds the next ids of a job, at most `room`. Returns how many. */
  #add(parts: Part[], job: AnyJob, room: number): number {
    const batch = this.#batch
    const part: Part = { job, from: job.done, count: 0, outputs: [] }
    const most = Math.min(room, job.remaining)
    if (most === 0) return 0
    const { sequence, ids } = job
    try {
      sequence.reserve(most)
    } catch (error) {
      job.fail(error)
      return 0
    }
    for (; part.count < most; part.count++) {
      const i = part.from + part.count
      const pick = job.pick(i)
      if (pick !== undefined && batch.outputs === batch.maxOutputs) break
      batch.addRow(ids[i], sequence.ids.length + part.count, sequence)
      if (pick !== undefined) part.outputs.push({ i, output: batch.addOutput(pick) })
    }
    if (part.count > 0) parts.push(part)
    return part.count
  }

  async #run(parts: Part[]): Promise<void> {
    // nobody wants the step any more once all its jobs have failed
    const abort = new AbortController()
    for (const { job } of parts) {
      job.sequence.enter()
      job.onFail = () => {
        if (parts.every((part) => part.job.settled)) abort.abort()
      }
    }
    try {
      const start = performance.now()
      await this.#attempt(() => this.#step.run(abort.signal))
      this.stats.micros += (performance.now() - start) * 1000
      this.stats.steps++
      this.stats.ids += this.#batch.rows
      this.#advance(parts)
      const again = this.#takeOutputs(parts)
      if (again.length > 0) {
        // what is drawn from is written over, so every attempt begins with a copy
        const logits = this.#step.copyLogits()
        await this.#attempt(() => this.#step.pickAgain(logits, abort.signal))
        this.#takeOutputs(again)
      }
      this.#settle(parts)
    } catch (error) {
      for (const { job } of parts) job.fail(error)
    } finally {
      for (const { job } of parts) {
        job.onFail = undefined
        job.sequence.leave()
      }
    }
  }

  /** A step has no effect before it is taken as done, so it can be begun anew. */
  async #attempt(run: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await run()
      } catch (error) {
        if (!(error instanceof WorkerDiedError) || attempt === ATTEMPTS) throw error
      }
    }
  }

  #advance(parts: Part[]): void {
    for (const { job, from, count } of parts) {
      if (job.settled) continue
      for (let i = from; i < from + count; i++) job.sequence.ids.push(job.ids[i])
      job.done += count
    }
  }

  /** Gives every output to its job. Returns the parts whose logits want to be picked from again. */
  #takeOutputs(parts: Part[]): Part[] {
    const again: Part[] = []
    const picks: { output: number; pick: Pick }[] = []
    for (const part of parts) {
      const { job } = part
      if (job.settled) continue
      const open: Part['outputs'] = []
      try {
        for (const { i, output } of part.outputs) {
          const pick = job.take(i, this.#batch.picks, output, this.#step.logits(output))
          if (pick === undefined) continue
          open.push({ i, output })
          picks.push({ output, pick })
        }
        if (open.length > 0) again.push({ ...part, outputs: open })
      } catch (error) {
        job.fail(error)
      }
    }
    for (let output = 0; output < this.#batch.outputs; output++) {
      this.#batch.setPick(output, { action: 'nothing' })
    }
    for (const { output, pick } of picks) this.#batch.setPick(output, pick)
    return again
  }

  #settle(parts: Part[]): void {
    let through = 0
    for (const { job } of parts) {
      if (job.remaining > 0 || job.settled) continue
      through++
      job.complete()
    }
    this.#dropSettled()
    this.#expected = this.#jobs.length + through
  }
}

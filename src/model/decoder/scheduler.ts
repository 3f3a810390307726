import { setImmediate } from 'node:timers/promises'
import { WorkerDiedError } from '../../errors.js'
import type { Drawn } from '../../layouts/pick-rows.js'
import type { Pick } from './batch.js'
import { type AnyJob, type Flight, isWanted, launch, type Part, touchDown } from './flight.js'
import type { Job } from './job.js'
import { DrawJob } from './jobs.js'
import type { Sequence } from './sequence.js'
import type { Step } from './step.js'

/** Rows of prompts that one step takes while other sequences wait for their next id. */
const ROWS_BESIDE_DECODING = 128

/** A step is begun again so many times if a worker dies in it. */
const ATTEMPTS = 3

/** What a model has done since it was loaded. */
export interface ModelStats {
  /** Programs from ids to logits. */
  steps: number
  /** Ids that went through, over all steps. */
  ids: number
  /** In steps, microseconds. */
  micros: number
}

/**
 * Runs jobs of any number of sequences through one network, all that wait together in one step: those
 * that draw their next id first, then as many ids of prompts as there is room for. Rows do not see each
 * other, so every sequence gets the bits it would get alone.
 *
 * While a step runs, the next one is queued behind it, with rows for the ids that it is about to draw: so
 * workers go on at once, and what this thread has to do for every id costs no time.
 */
export class Scheduler {
  /** Taken in turn. A step reads ids that the one before has drawn, so its batch must stay for a while. */
  readonly #steps: readonly Step[]
  #turn = 0
  readonly #jobs: AnyJob[] = []
  /** The step that runs, and the one behind it. */
  readonly #flights: Flight[] = []
  /** Ids that were drawn ahead, and not asked for yet. */
  readonly #drawn = new WeakMap<Sequence, Drawn>()
  readonly stats: ModelStats = { steps: 0, ids: 0, micros: 0 }
  #running = false
  #lastEnd = 0
  /** Jobs that are not through, and one for each sequence that got an id and will ask for the next. */
  #expected = 0

  /** @param steps three, each following the one before; or one, then nothing is queued behind it */
  constructor(steps: readonly Step[]) {
    this.#steps = steps
  }

  /** Queues a job. One sequence, one job at a time. */
  run<Result>(job: Job<Result>): Promise<Result> {
    if (job.settled) return job.result
    job.onFail = () => this.#abortUnwanted()
    if (this.#takeDrawn(job)) return job.result
    this.#join(job)
    this.#jobs.push(job)
    if (!this.#running) this.#work()
    return job.result
  }

  /** Nothing more is wanted of a sequence. */
  drop(sequence: Sequence): void {
    this.#drawn.delete(sequence)
    for (const { parts } of this.#flights) {
      for (const part of parts) if (part.sequence === sequence) part.dropped = true
    }
    this.#abortUnwanted()
  }

  /** Fails all jobs. */
  end(error: unknown): void {
    for (const job of this.#jobs) job.fail(error)
  }

  async #work(): Promise<void> {
    this.#running = true
    // others may ask at the same time
    await setImmediate()
    while (await this.#takeOff()) {
      const [flight] = this.#flights
      this.#queueBehind(flight)
      await flight.ended
      this.#flights.shift()
      await this.#land(flight)
    }
    this.#expected = 0
    this.#running = false
  }

  // ---- sending steps off --------------------------------------------------------------------------

  /** Sees to it that a step runs. False: there is nothing to do. */
  async #takeOff(): Promise<boolean> {
    for (;;) {
      // who got an id shall have the time to ask for the next
      const isBehind = this.#flights.length > 0
      if (isBehind || this.#jobs.length < this.#expected) await setImmediate()
      if (isBehind) return true
      this.#send(undefined)
      if (this.#flights.length > 0) return true
      await setImmediate()
      if (this.#jobs.length === 0) return false
    }
  }

  /** Queues the next step, unless this one leaves something behind that the next would write over. */
  #queueBehind(flight: Flight): void {
    const canFollow = this.#steps.length > 1 && flight.step.canFollow
    if (canFollow && !flight.parts.some(({ job }) => job?.readsLogits)) this.#send(flight)
  }

  #send(behind: Flight | undefined): void {
    const step = this.#steps[this.#turn % this.#steps.length]
    const parts = this.#compose(step, behind)
    if (parts.length === 0) return
    this.#turn++
    this.#flights.push(launch(step, parts))
  }

  /** Fills a step's batch. */
  #compose(step: Step, behind: Flight | undefined): Part[] {
    const { batch } = step
    batch.clear()
    this.#dropSettled()
    const parts: Part[] = []
    for (const part of behind?.parts ?? []) this.#addAhead(step, parts, part)
    const decoding = this.#jobs.filter(({ remaining }) => remaining === 1)
    const reading = this.#jobs.filter(({ remaining }) => remaining > 1)
    for (const job of decoding) this.#add(step, parts, job, batch.maxRows - batch.rows)
    const room = batch.maxRows - batch.rows
    let left = parts.length === 0 ? room : Math.min(room, ROWS_BESIDE_DECODING)
    for (const job of reading) left -= this.#add(step, parts, job, left)
    return parts
  }

  #dropSettled(): void {
    const open = this.#jobs.filter(({ settled }) => !settled)
    this.#jobs.splice(0, this.#jobs.length, ...open)
  }

  /** Adds the next ids of a job, at most `room`. Returns how many. */
  #add(step: Step, parts: Part[], job: AnyJob, room: number): number {
    const { batch } = step
    const { sequence, ids } = job
    const most = Math.min(room, job.remaining)
    if (most === 0 || !reserve(job, job.underWay + most)) return 0
    const from = job.done + job.underWay
    const part: Part = {
      sequence,
      job,
      from,
      count: 0,
      outputs: [],
      ahead: undefined,
      dropped: false,
    }
    for (; part.count < most; part.count++) {
      const i = from + part.count
      const pick = job.pick(i)
      if (pick !== undefined && batch.outputs === batch.maxOutputs) break
      batch.addRow(ids[i], sequence.ids.length + job.underWay + part.count, sequence)
      if (pick !== undefined) part.outputs.push({ i, output: batch.addOutput(pick) })
    }
    if (part.count > 0) parts.push(part)
    return part.count
  }

  /** Adds a row for the id that a part of the step before is about to draw. */
  #addAhead(step: Step, parts: Part[], { job, outputs, sequence }: Part): void {
    const { batch } = step
    const isFull = batch.rows === batch.maxRows || batch.outputs === batch.maxOutputs
    if (job === undefined || job.settled || job.remaining > 0 || isFull) return
    const draw = job.drawAhead()
    if (draw === undefined) return
    if (!reserve(job, job.underWay + 1)) return
    batch.addDrawnRow(
      outputs[outputs.length - 1].output,
      sequence.ids.length + job.underWay,
      sequence,
    )
    const output = batch.addOutput({ action: 'draw', draw })
    const ahead = { after: job, draw }
    parts.push({
      sequence,
      job: undefined,
      from: 0,
      count: 1,
      outputs: [{ i: 0, output }],
      ahead,
      dropped: false,
    })
  }

  // ---- rows ahead -----------------------------------------------------------------------------------

  /** Gives the job the row that runs ahead for it, if there is one. */
  #join(job: AnyJob): void {
    for (const { parts } of this.#flights) {
      const part = parts.find(({ sequence, job: owner }) => sequence === job.sequence && !owner)
      if (part === undefined) continue
      part.job = job
      job.underWay = 1
    }
  }

  /** Gives the job the id that was drawn ahead for it, if there is one. */
  #takeDrawn(job: AnyJob): boolean {
    const drawn = this.#drawn.get(job.sequence)
    if (drawn === undefined || !(job instanceof DrawJob)) return false
    this.#drawn.delete(job.sequence)
    job.sequence.ids.push(job.ids[0])
    job.done = 1
    try {
      job.takeDrawn(drawn)
      job.complete()
    } catch (error) {
      job.fail(error)
    }
    return true
  }

  /** Stops the step behind, as if it had never been sent off. */
  async #callBack(): Promise<void> {
    const flight = this.#flights.shift()
    if (flight === undefined) return
    flight.abort.abort()
    await flight.ended
    touchDown(flight)
    for (const { ahead } of flight.parts) ahead?.after.drawAgain(ahead.draw)
  }

  #abortUnwanted(): void {
    for (const flight of this.#flights) if (!isWanted(flight)) flight.abort.abort()
  }

  // ---- taking what came of them ----------------------------------------------------------------------

  async #land(flight: Flight): Promise<void> {
    const { step, parts, abort } = flight
    try {
      await this.#complete(flight)
      this.#count(flight)
      this.#advance(parts)
      const again = this.#takeOutputs(step, parts)
      if (again.length > 0) {
        // what is drawn from is written over, so every attempt begins with a copy
        const logits = step.copyLogits()
        await attempt(() => step.pickAgain(logits, abort.signal), ATTEMPTS)
        this.#takeOutputs(step, again)
      }
      this.#settle(parts)
    } catch (error) {
      for (const { job } of parts) job?.fail(error)
    }
  }

  /** A step has no effect before it is taken as done: where a worker died in it, it is begun anew. */
  async #complete(flight: Flight): Promise<void> {
    try {
      const error = await flight.ended
      if (error === undefined) return
      await this.#callBack()
      if (!(error instanceof WorkerDiedError)) throw error
      await attempt(() => flight.step.run(flight.abort.signal), ATTEMPTS - 1)
    } finally {
      touchDown(flight)
    }
  }

  #count({ step, started }: Flight): void {
    const now = performance.now()
    this.stats.steps++
    this.stats.ids += step.batch.rows
    // it waited for the one before
    this.stats.micros += (now - Math.max(started, this.#lastEnd)) * 1000
    this.#lastEnd = now
  }

  #advance(parts: readonly Part[]): void {
    for (const { job, from, count } of parts) {
      if (job === undefined || job.settled) continue
      for (let i = from; i < from + count; i++) job.sequence.ids.push(job.ids[i])
      job.done += count
    }
  }

  /** Gives every output to its job. Returns the parts whose logits want to be picked from again. */
  #takeOutputs(step: Step, parts: readonly Part[]): Part[] {
    const { batch } = step
    const again: Part[] = []
    const picks: { output: number; pick: Pick }[] = []
    for (const part of parts) {
      const { job, sequence, dropped } = part
      if (job === undefined && !dropped) {
        this.#drawn.set(sequence, batch.picks.drawn(part.outputs[0].output))
      }
      if (job === undefined || job.settled) continue
      const open: Part['outputs'] = []
      try {
        for (const { i, output } of part.outputs) {
          const pick = job.take(i, batch.picks, output, step.logits(output))
          if (pick === undefined) continue
          open.push({ i, output })
          picks.push({ output, pick })
        }
        if (open.length > 0) again.push({ ...part, outputs: open })
      } catch (error) {
        job.fail(error)
      }
    }
    if (picks.length === 0) return again
    for (let output = 0; output < batch.outputs; output++) {
      batch.setPick(output, { action: 'nothing' })
    }
    for (const { output, pick } of picks) batch.setPick(output, pick)
    return again
  }

  #settle(parts: readonly Part[]): void {
    let through = 0
    for (const { job } of parts) {
      if (job === undefined || job.settled || job.remaining > 0 || job.underWay > 0) continue
      through++
      job.complete()
    }
    this.#dropSettled()
    this.#expected = this.#jobs.length + through
  }
}

/** Makes room for so many ids of the job's sequence; the job fails if there is no memory. */
function reserve(job: AnyJob, count: number): boolean {
  try {
    job.sequence.reserve(count)
    return true
  } catch (error) {
    job.fail(error)
    return false
  }
}

async function attempt(run: () => Promise<void>, times: number): Promise<void> {
  for (let left = times - 1; ; left--) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof WorkerDiedError) || left === 0) throw error
    }
  }
}

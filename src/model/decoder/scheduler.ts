import { setImmediate } from 'node:timers/promises'
import {
  requestAdmittedChannel,
  requestFinishedChannel,
  requestFirstTokenChannel,
  stepChannel,
} from '../../diagnostics.js'
import { OutOfMemoryError, QueueFullError, WorkerDiedError } from '../../errors.js'
import type { Pool } from '../../pool/pool.js'
import type { OutputUse } from './batch.js'
import type { PagePool } from './page.js'
import type { PrefixCache } from './prefix-cache.js'
import type { Request } from './request.js'
import { Sequence } from './sequence.js'
import type { Step } from './step.js'
import {
  hasPromptOf,
  isWanted,
  launch,
  leave,
  type Part,
  type StepInFlight,
} from './step-in-flight.js'

/** Rows of prompts that one step takes while other requests decode. */
const PREFILL_ROWS_BESIDE_DECODING = 128

/** A step is run so many times, at most, where workers die in it. */
const ATTEMPTS = 3

/** What a model has done since it was loaded, and what it does now. */
export interface ModelStats {
  /** Programs from tokens to logits. */
  steps: number
  /** Tokens that were computed, over all steps. */
  tokens: number
  /** Tokens that were sampled, those of requests that run among them. */
  sampledTokens: number
  /** In steps, microseconds. */
  micros: number
  /** Requests that have lost their pages to earlier ones, and were computed anew. */
  preemptions: number
  /** Tokens of prompts that were computed, and the time of the steps that computed some, microseconds. */
  prefillTokens: number
  prefillMicros: number
  /** Requests that run now, and that wait for pages of the KV cache. */
  running: number
  waiting: number
  /** Tokens of their prompts that are yet to be computed. */
  queuedTokens: number
  /** How many requests may wait, and tokens: the bounds of `limitQueue`. */
  maxQueue: number
  maxQueuedTokens: number | undefined
  /** Memory of the KV cache that running requests and kept prefixes hold, bytes. */
  kvBytes: number
  /** The most that it may hold, bytes. */
  kvCapacityBytes: number
  /** It is shared out in pages of so many bytes. */
  kvPageBytes: number
}

export interface SchedulerParts {
  /** The model, as diagnostics name it. */
  readonly model: object
  readonly pool: Pool
  /** Taken in turn: three, each following the one before; or one, then none is queued behind another. */
  readonly steps: readonly Step[]
  readonly pages: PagePool
  readonly prefixes: PrefixCache
  readonly limits: QueueLimits
}

/** What may wait. */
export interface QueueLimits {
  /** Requests that were not admitted yet. */
  readonly maxQueue: number
  /** Tokens of prompts that are yet to be computed, while a request is taken; undefined: any number. */
  readonly maxQueuedTokens: number | undefined
}

/**
 * Runs any number of requests through one network. A step takes a row of every request that decodes, and as many
 * tokens of prompts as there is room for, first come, first served. Rows do not see each other, so every request gets
 * the bits that it would get alone.
 *
 * While a step runs, the next one is queued behind it, with speculative rows for the tokens that are about to be
 * sampled: so workers go on at once, and what this thread does for every token costs no time.
 */
export class Scheduler {
  readonly #model: object
  readonly #pool: Pool
  readonly #steps: readonly Step[]
  readonly #pages: PagePool
  readonly #prefixes: PrefixCache
  /** Groups of which a request was taken. */
  readonly #taken = new WeakSet<object>()
  /** Those that are there when these change stay. */
  limits: QueueLimits
  /** In order of arrival, those that were preempted first. */
  readonly #waiting: Request[] = []
  /** In order of arrival. */
  readonly #running: Request[] = []
  /** The step that runs, and the one that is queued behind it. */
  readonly #inFlight: StepInFlight[] = []
  #isWorking = false
  #turn = 0
  /** Steps in a row in which a worker died. */
  #deaths = 0
  /** The pages' releases when no request could be admitted for want of pages. */
  #releasesSeen: number | undefined
  #lastEnd = 0
  readonly #counts = {
    steps: 0,
    tokens: 0,
    micros: 0,
    preemptions: 0,
    prefillTokens: 0,
    prefillMicros: 0,
  }
  /** Of requests that have ended. */
  #sampledTokens = 0

  constructor({ model, pool, steps, pages, prefixes, limits }: SchedulerParts) {
    this.#model = model
    this.#pool = pool
    this.#steps = steps
    this.#pages = pages
    this.#prefixes = prefixes
    this.limits = limits
  }

  /** Takes a request. It fails with a QueueFullError where it would have to wait, and too much waits already. */
  submit(request: Request): void {
    if (request.hasEnded) return
    request.onFirstToken = () => publishFirstToken(this.#model, request)
    request.onEnd = () => this.#release(request)
    const { maxQueue, maxQueuedTokens } = this.limits
    if (maxQueuedTokens !== undefined) {
      if (!this.#taken.has(request.group) && this.#queuedTokens > maxQueuedTokens) {
        request.fail(new QueueFullError(maxQueuedTokens, 'tokens of prompts'))
        return
      }
      this.#taken.add(request.group)
    }
    this.#waiting.push(request)
    this.#releasesSeen = undefined
    this.#admit()
    const queued = this.#waiting.filter(({ cachedTokens }) => cachedTokens === undefined)
    if (queued.length > maxQueue) request.fail(new QueueFullError(maxQueue, 'requests'))
    else this.wake()
  }

  /** Goes on where nothing could be done: a consumer has made room. */
  wake(): void {
    if (!this.#isWorking) void this.#work()
  }

  /** Fails all requests. */
  end(error: unknown): void {
    for (const request of [...this.#running, ...this.#waiting]) request.fail(error)
  }

  get stats(): ModelStats {
    const current = [...this.#running, ...this.#waiting]
    return {
      ...this.#counts,
      ...this.limits,
      sampledTokens: current.reduce((sum, r) => sum + r.sampledTokens, this.#sampledTokens),
      running: this.#running.length,
      waiting: this.#waiting.length,
      queuedTokens: this.#queuedTokens,
      kvBytes: this.#pages.held * this.#pages.pageBytes,
      kvCapacityBytes: this.#pages.maxPages * this.#pages.pageBytes,
      kvPageBytes: this.#pages.pageBytes,
    }
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    // requests of the same turn of the event loop share the first step
    await setImmediate()
    for (;;) {
      if (this.#inFlight.length === 0) this.#launch(undefined)
      const [step] = this.#inFlight
      if (step === undefined) {
        if (!this.#waiting.some(({ hasRoom }) => hasRoom)) break
        // those that run have all stalled, so their pages can be taken
        this.#releasesSeen = undefined
        continue
      }
      if (isWanted(step) && !step.abort.signal.aborted) this.#launchBehind(step)
      const error = await step.ended
      this.#inFlight.shift()
      leave(step)
      this.#publish(step, error)
      if (error === undefined) await this.#land(step)
      else await this.#recover(step, error)
    }
    this.#isWorking = false
  }

  /** A request has ended: its rows are computed no more, and its pages may serve others. */
  #release(request: Request): void {
    remove(this.#waiting, request)
    remove(this.#running, request)
    this.#sampledTokens += request.sampledTokens
    const { sequence } = request
    request.sequence = undefined
    publishFinished(this.#model, request)
    if (sequence !== undefined) this.#prefixes.retire(sequence)
    // retired pages can be evicted
    this.#releasesSeen = undefined
    const [, behind] = this.#inFlight
    // rather than compute a prompt that nobody waits for, the step that has not begun is composed anew
    if (behind !== undefined && hasPromptOf(behind, request)) behind.abort.abort()
    for (const step of this.#inFlight) if (!isWanted(step)) step.abort.abort()
    if (this.#waiting.length > 0) this.wake()
  }

  // ---- admission and pages ------------------------------------------------------------------------

  /** Tokens of prompts that are yet to be computed. */
  get #queuedTokens(): number {
    let count = 0
    for (const { tokens } of this.#waiting) count += tokens.length
    for (const { tokens, computed } of this.#running) {
      const uncomputed = tokens.length - computed
      // one that decodes has one
      if (uncomputed > 1) count += uncomputed
    }
    return count
  }

  /** Admits waiting requests as long as there are pages for all their tokens. */
  #admit(): void {
    if (this.#releasesSeen === this.#pages.releases) return
    while (this.#running.length < this.#steps[0].batch.maxRows) {
      const request = this.#waiting.find(({ hasRoom }) => hasRoom)
      if (request === undefined) return
      if (this.#start(request)) continue
      this.#releasesSeen = this.#pages.releases
      return
    }
  }

  /** Gives a waiting request its pages. False where that must wait. */
  #start(request: Request): boolean {
    let sequence: Sequence | undefined
    try {
      sequence = new Sequence(this.#pool, this.#pages, request.tokens, request.capacity)
      const known = this.#prefixes.find(request.tokens)
      if (known !== undefined) {
        const count = Math.min(known.count, request.firstOutput)
        while (!sequence.share(known.sequence, count) && this.#prefixes.evict(known.sequence)) {
          // there is a page for the copy now
        }
      }
      while (!sequence.reserve(request.tokens.length)) {
        if (this.#prefixes.evict() || this.#preemptStalled()) continue
        sequence.release()
        return this.#failIfAlone(request)
      }
      if (request.cachedTokens === undefined) {
        request.cachedTokens = sequence.computed
        request.admittedAt = performance.now()
        publishAdmitted(this.#model, request)
        request.onAdmit?.()
      }
      request.sequence = sequence
      if (request.keepsPrefix) this.#prefixes.add(sequence)
    } catch (error) {
      sequence?.release()
      request.fail(error)
      return true
    }
    remove(this.#waiting, request)
    request.status = 'running'
    this.#running.push(request)
    return true
  }

  /** Fails a request that lacks pages though no other has any. Returns whether it did. */
  #failIfAlone(request: Request): boolean {
    const isAlone = this.#running.every((other) => other === request) && this.#inFlight.length === 0
    if (isAlone) request.fail(new OutOfMemoryError(this.#pages.pageBytes, undefined))
    return isAlone
  }

  /** Makes room for tokens of a running request, if need be at the cost of those that came after it. */
  #reserve(request: Request, count: number): boolean {
    const { sequence } = request
    if (sequence === undefined) return false
    try {
      while (!sequence.reserve(count)) {
        if (this.#prefixes.evict()) continue
        const last = this.#running[this.#running.length - 1]
        if (last === request && !this.#failIfAlone(request)) this.#preempt(request)
        if (last === request) return false
        const { inFlight } = last
        this.#preempt(last)
        // its pages come back with its steps
        if (inFlight > 0) return false
      }
      return true
    } catch (error) {
      request.fail(error)
      return false
    }
  }

  /** Takes the pages of a request whose consumer does not read. False where there is none. */
  #preemptStalled(): boolean {
    const stalled = this.#running.findLast(({ hasRoom, inFlight }) => !hasRoom && inFlight === 0)
    if (stalled !== undefined) this.#preempt(stalled)
    return stalled !== undefined
  }

  /** Has a request wait again. What it has computed is kept as long as nobody needs the pages. */
  #preempt(request: Request): void {
    const { sequence } = request
    remove(this.#running, request)
    request.status = 'waiting'
    request.sequence = undefined
    request.inFlight = 0
    this.#waiting.unshift(request)
    this.#counts.preemptions++
    if (sequence !== undefined) this.#prefixes.retire(sequence)
  }

  // ---- launching steps ----------------------------------------------------------------------------

  /** Queues the next step, unless this one leaves something behind that the next would overwrite. */
  #launchBehind(before: StepInFlight): void {
    const canFollow = this.#steps.length > 1 && before.step.canFollow
    if (canFollow && !before.parts.some(({ request }) => request.readsLogits)) this.#launch(before)
  }

  #launch(before: StepInFlight | undefined): void {
    const step = this.#steps[this.#turn % this.#steps.length]
    this.#admit()
    const parts = this.#compose(step, before)
    if (parts.length === 0) return
    this.#turn++
    this.#inFlight.push(launch(step, parts))
  }

  /** Fills a step's batch. */
  #compose(step: Step, before: StepInFlight | undefined): Part[] {
    const { batch } = step
    batch.clear()
    const parts: Part[] = []
    const add = (part: Part | undefined) => part !== undefined && parts.push(part)
    // all pages before any row, for those that come late may be preempted
    const decoding = this.#running
      .filter(({ pending, hasRoom, canSpeculate }) => {
        return pending === 1 ? hasRoom : pending === 0 && canSpeculate
      })
      .filter((request) => this.#reserve(request, request.next + 1))
    for (const request of decoding) {
      if (request.pending === 1) add(addRows(step, request, 1))
      else if (request.pending === 0) add(addSpeculativeRow(step, request, before))
    }
    let room = batch.maxRows - batch.rows
    if (parts.length > 0) room = Math.min(room, PREFILL_ROWS_BESIDE_DECODING)
    for (const request of this.#running) {
      if (request.pending > 1 && room > 0) {
        const part = addRows(step, request, Math.min(room, request.pending))
        add(part)
        room -= part?.count ?? 0
      }
    }
    return parts
  }

  // ---- taking outcomes ------------------------------------------------------------------------------

  /** Takes the outcome of a step that has ended well. */
  async #land(inFlight: StepInFlight): Promise<void> {
    const { step, parts, abort } = inFlight
    this.#deaths = 0
    this.#count(inFlight)
    const counted = parts.filter(({ request, sequence, first }) => {
      return request.sequence === sequence && first === sequence.computed
    })
    for (const { request, sequence, count } of counted) {
      request.inFlight -= count
      sequence.computed += count
    }
    try {
      const again = this.#takeOutputs(step, counted)
      if (again.length > 0) {
        // sampling overwrites the logits, so every attempt begins with a copy
        const logits = step.copyLogits()
        await attempt(() => step.sampleAgain(logits, abort.signal), ATTEMPTS)
        this.#takeOutputs(step, again)
      }
    } catch (error) {
      for (const { request } of counted) request.fail(error)
    }
    for (const { request } of counted) {
      if (!request.hasEnded && request.pending === 0 && request.inFlight === 0) request.complete()
    }
  }

  /** Gives every output to its request. Returns the parts whose logits are to be sampled from again. */
  #takeOutputs(step: Step, parts: readonly Part[]): Part[] {
    const { batch } = step
    const again: Part[] = []
    const uses: { index: number; use: OutputUse }[] = []
    for (const part of parts) {
      const { request, sequence } = part
      if (request.sequence !== sequence) continue
      const outputs: Part['outputs'] = []
      try {
        for (const { position, index } of part.outputs) {
          const use = request.take(position, step.output(index))
          if (use === undefined) continue
          if (use === 'again') {
            // what is in flight behind it counts no more
            sequence.computed = position
            request.inFlight = 0
            continue
          }
          outputs.push({ position, index })
          uses.push({ index, use })
        }
        if (outputs.length > 0) again.push({ ...part, outputs })
      } catch (error) {
        request.fail(error)
      }
    }
    if (uses.length === 0) return again
    for (let index = 0; index < batch.outputs; index++) batch.setUse(index, { action: 'nothing' })
    for (const { index, use } of uses) batch.setUse(index, use)
    return again
  }

  /**
   * A step has come to nothing, and so has the one behind it. Neither has had an effect: where a worker died, or the
   * step was aborted, the rows that are wanted are computed again.
   */
  async #recover({ parts, abort }: StepInFlight, error: unknown): Promise<void> {
    const [behind] = this.#inFlight
    behind?.abort.abort()
    await behind?.ended
    this.#inFlight.shift()
    if (behind !== undefined) leave(behind)
    for (const { request, sequence } of [...parts, ...(behind?.parts ?? [])]) {
      if (request.sequence === sequence) request.inFlight = 0
    }
    if (abort.signal.aborted) return
    const diedAgain = error instanceof WorkerDiedError && ++this.#deaths < ATTEMPTS
    if (diedAgain) return
    this.#deaths = 0
    for (const { request, sequence } of parts) {
      if (request.sequence === sequence) request.fail(error)
    }
  }

  #publish({ step, parts, started }: StepInFlight, error: unknown): void {
    if (!stepChannel.hasSubscribers) return
    stepChannel.publish({
      model: this.#model,
      requests: parts.length,
      tokens: step.batch.rows,
      millis: performance.now() - started,
      error,
    })
  }

  #count({ step, parts, started }: StepInFlight): void {
    const now = performance.now()
    // it waited for the one before
    const micros = (now - Math.max(started, this.#lastEnd)) * 1000
    this.#lastEnd = now
    this.#counts.steps++
    this.#counts.tokens += step.batch.rows
    this.#counts.micros += micros
    let prefillTokens = 0
    for (const { count } of parts) if (count > 1) prefillTokens += count
    this.#counts.prefillTokens += prefillTokens
    if (prefillTokens > 0) this.#counts.prefillMicros += micros
  }
}

/** Adds known tokens of a request, at most so many: fewer where the batch has no room for their outputs. */
function addRows({ batch }: Step, request: Request, most: number): Part | undefined {
  const { sequence, tokens, next } = request
  if (sequence === undefined || batch.rows === batch.maxRows) return undefined
  const outputs: Part['outputs'] = []
  let count = 0
  for (; count < most; count++) {
    const position = next + count
    const use = request.useAt(position)
    if (use !== undefined && !batch.hasRoomFor(use)) break
    batch.addRow(tokens[position], position, sequence)
    if (use !== undefined) outputs.push({ position, index: batch.addUse(use) })
  }
  return count === 0 ? undefined : { request, sequence, first: next, count, outputs }
}

/** Adds a row for the token that the step before is about to sample for a request. */
function addSpeculativeRow(
  { batch }: Step,
  request: Request,
  before: StepInFlight | undefined,
): Part | undefined {
  const { sequence, next } = request
  const isFull = batch.rows === batch.maxRows || batch.outputs === batch.maxOutputs
  if (sequence === undefined || isFull || !request.canSpeculate) return undefined
  const part = before?.parts.find((part) => part.request === request && part.sequence === sequence)
  const sampled = part?.outputs.find(({ position }) => position === next - 1)
  const use = request.useAt(next)
  if (sampled === undefined || use === undefined) return undefined
  batch.addSampledRow(sampled.index, next, sequence)
  const outputs = [{ position: next, index: batch.addUse(use) }]
  return { request, sequence, first: next, count: 1, outputs }
}

function publishAdmitted(model: object, request: Request): void {
  if (!requestAdmittedChannel.hasSubscribers) return
  const { promptTokens, cachedTokens = 0, madeAt, admittedAt = madeAt } = request
  const millis = admittedAt - madeAt
  requestAdmittedChannel.publish({ model, request, promptTokens, cachedTokens, millis })
}

function publishFirstToken(model: object, request: Request): void {
  if (!requestFirstTokenChannel.hasSubscribers) return
  const { madeAt, admittedAt = madeAt, firstTokenAt = madeAt } = request
  const [queueMillis, millis] = [admittedAt - madeAt, firstTokenAt - madeAt]
  requestFirstTokenChannel.publish({ model, request, queueMillis, millis })
}

function publishFinished(model: object, request: Request): void {
  if (!requestFinishedChannel.hasSubscribers) return
  const { finishReason, error, promptTokens, cachedTokens = 0, completionTokens } = request
  const usage = { promptTokens, cachedTokens, completionTokens }
  const since = (at: number | undefined) => (at === undefined ? undefined : at - request.madeAt)
  requestFinishedChannel.publish({
    model,
    request,
    finishReason,
    ...usage,
    queueMillis: since(request.admittedAt),
    firstTokenMillis: since(request.firstTokenAt),
    millis: performance.now() - request.madeAt,
    error,
  })
}

function remove<Item>(items: Item[], item: Item): void {
  const at = items.indexOf(item)
  if (at >= 0) items.splice(at, 1)
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

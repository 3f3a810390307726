import type { FastifyBaseLogger } from 'fastify'
import { nowSeconds } from '../ids.js'
import type { Batch } from '../schemas/batches.js'
import type { InputReader } from './input.js'
import { type End, isOver, toEnd, toFailed, toFinalizing, toInProgress } from './lifecycle.js'
import { writeOutput } from './output.js'
import { type BatchStore, NoFileError } from './store.js'

/** How often the counts of a batch that runs are told. */
const COUNT_MILLIS = 500

/** Drives one batch from its creation to its end. What it does can be done again by another, from any point on. */
export class BatchDriver {
  readonly #id: string
  readonly #store: BatchStore
  readonly #input: InputReader
  readonly #log: FastifyBaseLogger
  /** Aborts once the batch is to be cancelled. */
  readonly #cancelled = new AbortController()

  constructor(id: string, store: BatchStore, input: InputReader, log: FastifyBaseLogger) {
    this.#id = id
    this.#store = store
    this.#input = input
    this.#log = log.child({ batch: id })
  }

  /** Somebody has changed the batch. */
  changed({ status }: Batch): void {
    if (status === 'cancelling') this.#cancelled.abort()
  }

  /** Returns once the batch is over. @throws the signal's reason; why it cannot go on now */
  async drive(signal: AbortSignal): Promise<void> {
    const { batches } = this.#store
    await using hold = await this.#store.hold(this.#id, signal)
    const held = AbortSignal.any([signal, hold.signal])
    let batch = await batches.get(this.#id)
    if (batch === undefined || isOver(batch)) return
    this.changed(batch)
    try {
      if (batch?.status === 'validating') batch = await this.#validate(batch)
      if (batch?.status === 'in_progress') batch = await this.#run(batch, held)
      held.throwIfAborted()
      if (batch?.status === 'finalizing') batch = await this.#end(batch, 'completed')
      if (batch?.status === 'cancelling') batch = await this.#end(batch, 'cancelled')
      this.#log.info({ status: batch?.status, counts: batch?.request_counts }, 'batch ended')
    } catch (error) {
      if (!(error instanceof NoFileError)) throw error
      const problem = { code: 'file_not_found', message: error.message, param: null, line: null }
      await batches.update(this.#id, (now) => toFailed(now, [problem]))
    }
  }

  async #validate(batch: Batch): Promise<Batch | undefined> {
    const { total, errors } = await this.#input.validate(batch)
    return await this.#store.batches.update(this.#id, (now) => {
      if (now.status !== 'validating') return undefined
      return errors.length > 0 ? toFailed(now, errors) : toInProgress(now, total)
    })
  }

  /** Has the lines run, until all have results, time is up, or they are not wanted any more. */
  async #run(batch: Batch, signal: AbortSignal): Promise<Batch | undefined> {
    const { batches, queue } = this.#store
    const cancelled = this.#cancelled.signal
    const expiry = new AbortController()
    const stop = AbortSignal.any([signal, cancelled, expiry.signal])
    const counts = { completed: 0, failed: 0 }
    const timer = setInterval(() => {
      if (nowSeconds() >= batch.expires_at) expiry.abort()
      else void this.#count(counts)
    }, COUNT_MILLIS)
    try {
      await Promise.all([
        queue.add(batch, unlessStopped(stop, this.#input.lines(batch))),
        this.#watch(batch, counts, stop),
      ])
    } catch (error) {
      if (!stop.aborted) throw error
    } finally {
      clearInterval(timer)
    }
    signal.throwIfAborted()
    await queue.withdraw(this.#id)
    if (cancelled.aborted) return await batches.get(this.#id)
    if (expiry.signal.aborted) return await this.#end(batch, 'expired')
    return await batches.update(this.#id, (now) => {
      if (now.status !== 'in_progress') return undefined
      const { total } = now.request_counts
      return { ...toFinalizing(now), request_counts: { total, ...counts } }
    })
  }

  /** Counts results, until there are all. */
  async #watch(batch: Batch, counts: Counts, signal: AbortSignal): Promise<void> {
    const { total } = batch.request_counts
    for await (const { isSuccess } of this.#store.results.watch(this.#id, signal)) {
      if (isSuccess) counts.completed++
      else counts.failed++
      if (counts.completed + counts.failed === total) return
    }
  }

  async #count({ completed, failed }: Counts): Promise<void> {
    try {
      await this.#store.batches.update(this.#id, (now) => {
        const { total, ...before } = now.request_counts
        const isNew = before.completed !== completed || before.failed !== failed
        if (now.status !== 'in_progress' || !isNew) return undefined
        return { ...now, request_counts: { total, completed, failed } }
      })
    } catch (error) {
      this.#log.warn({ err: error }, 'the counts of a batch could not be kept')
    }
  }

  /** Writes its files, and forgets the rest. */
  async #end(batch: Batch, end: End): Promise<Batch | undefined> {
    const { batches, results } = this.#store
    const files = await writeOutput(this.#store, batch, end, () => this.#input.lines(batch))
    const ended = await batches.update(this.#id, (now) => {
      return isOver(now) ? undefined : toEnd(now, end, files)
    })
    await results.delete(this.#id)
    return ended
  }
}

interface Counts {
  completed: number
  failed: number
}

async function* unlessStopped<Item>(
  signal: AbortSignal,
  items: AsyncIterable<Item>,
): AsyncGenerator<Item, void, void> {
  for await (const item of items) {
    signal.throwIfAborted()
    yield item
  }
}

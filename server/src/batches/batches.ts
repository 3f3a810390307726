import { setTimeout } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { ApiError } from '../errors.js'
import type { Batch, BatchBody } from '../schemas/batches.js'
import type { StoredFile } from '../schemas/files.js'
import { BatchDriver } from './driver.js'
import type { InputReader } from './input.js'
import { beginBatch, isOver, toCancelling } from './lifecycle.js'
import type { BatchStore } from './store.js'

/** After what went wrong, such as a disk that is full, a batch goes on after this time. */
const RETRY_MILLIS = 5000

/** Files and batches, as the routes have them; drives all batches that are not over. */
export class Batches {
  readonly #store: BatchStore
  readonly #input: InputReader
  readonly #log: FastifyBaseLogger
  readonly #stopping = new AbortController()
  readonly #drivers = new Map<string, BatchDriver>()
  readonly #running = new Set<Promise<void>>()

  constructor(store: BatchStore, input: InputReader, log: FastifyBaseLogger) {
    this.#store = store
    this.#input = input
    this.#log = log
  }

  get files(): BatchStore['files'] {
    return this.#store.files
  }

  /** Goes on with the batches that there are. @param ready resolves once models are known */
  start(ready: Promise<void>): void {
    this.#keep(ready.then(() => this.#untilDone(() => this.#follow())))
  }

  /** Leaves all batches as they are, for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running)
  }

  /** @throws ApiError where there is no such input file */
  async create(body: BatchBody): Promise<Batch> {
    const file = await this.file(body.input_file_id, 'input_file_id')
    if (file.purpose !== 'batch') {
      const message = `input_file_id: expected a file of the purpose batch, got ${file.purpose}`
      throw new ApiError(400, message, { param: 'input_file_id' })
    }
    const batch = beginBatch(body)
    await this.#store.batches.create(batch)
    return batch
  }

  /** @throws ApiError where there is no such batch */
  async get(id: string): Promise<Batch> {
    return (await this.#store.batches.get(id)) ?? noBatch(id)
  }

  /** The newest first. */
  async list(): Promise<Batch[]> {
    return newestFirst(await this.#store.batches.list())
  }

  /** @throws ApiError where there is no such batch, or it cannot be cancelled any more */
  async cancel(id: string): Promise<Batch> {
    return (await this.#store.batches.update(id, toCancelling)) ?? noBatch(id)
  }

  /** @throws ApiError where there is no such file */
  async file(id: string, param = 'file_id'): Promise<StoredFile> {
    const file = await this.#store.files.get(id)
    if (file !== undefined) return file
    throw new ApiError(404, `there is no file ${id}`, { param, code: 'file_not_found' })
  }

  /** The newest first. */
  async listFiles(): Promise<StoredFile[]> {
    return newestFirst(await this.#store.files.list())
  }

  /** @throws ApiError where there is no such file, or a batch needs it */
  async deleteFile(id: string): Promise<void> {
    await this.file(id)
    const batches = await this.#store.batches.list()
    const user = batches.find((batch) => batch.input_file_id === id && !isOver(batch))
    if (user !== undefined) {
      const message = `the batch ${user.id} needs the file; cancel it first, or wait for its end`
      throw new ApiError(409, message, { param: 'file_id', code: 'file_in_use' })
    }
    await this.#store.files.delete(id)
  }

  /** Drives every batch that there is or comes. */
  async #follow(): Promise<void> {
    const { signal } = this.#stopping
    for await (const batch of this.#store.batches.changes(signal)) {
      const driver = this.#drivers.get(batch.id)
      driver?.changed(batch)
      if (driver === undefined && !isOver(batch)) this.#keep(this.#drive(batch.id))
    }
  }

  async #drive(id: string): Promise<void> {
    const { signal } = this.#stopping
    const driver = new BatchDriver(id, this.#store, this.#input, this.#log)
    this.#drivers.set(id, driver)
    await this.#untilDone(() => driver.drive(signal))
    this.#drivers.delete(id)
  }

  /** Does work, again where it fails. @throws the reason of {@link stop} */
  async #untilDone(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping
    for (;;) {
      try {
        return await work()
      } catch (error) {
        signal.throwIfAborted()
        this.#log.warn({ err: error }, 'batches cannot go on; it is tried again')
        await setTimeout(RETRY_MILLIS, undefined, { signal })
      }
    }
  }

  /** Keeps work until {@link stop}, which ends it. */
  #keep(work: Promise<void>): void {
    const running = work
      .catch((error) => {
        if (!this.#stopping.signal.aborted) this.#log.error({ err: error }, 'batches have stopped')
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

function newestFirst<Item extends { id: string }>(items: readonly Item[]): Item[] {
  // ids are in the order of their time
  return [...items].sort((a, b) => (a.id < b.id ? 1 : -1))
}

function noBatch(id: string): never {
  throw new ApiError(404, `there is no batch ${id}`, { code: 'batch_not_found' })
}

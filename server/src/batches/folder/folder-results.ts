import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { LineResult } from '../result.js'
import type { LineOutcome, ResultStore } from '../store.js'
import { isResults, ResultLog } from './result-log.js'

/** Results in the folders of their batches. */
export class FolderResults implements ResultStore, AsyncDisposable {
  readonly #folder: string
  readonly #logs = new Map<string, Promise<ResultLog>>()

  /** @param folder that of all batches */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** The results of a batch. */
  of(batchId: string): Promise<ResultLog> {
    const found = this.#logs.get(batchId)
    if (found !== undefined) return found
    const opened = ResultLog.open(join(this.#folder, batchId))
    this.#logs.set(batchId, opened)
    opened.catch(() => this.#logs.delete(batchId))
    return opened
  }

  async *watch(batchId: string, signal: AbortSignal): AsyncGenerator<LineOutcome, void, void> {
    const log = await this.of(batchId)
    yield* log.watch(signal)
  }

  async get(batchId: string, line: number): Promise<LineResult | undefined> {
    const log = await this.of(batchId)
    return await log.get(line)
  }

  async delete(batchId: string): Promise<void> {
    await this.#close(batchId)
    const folder = join(this.#folder, batchId)
    const names = (await readdir(folder)).filter(isResults)
    for (const name of names) await rm(join(folder, name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const batchId of [...this.#logs.keys()]) await this.#close(batchId)
  }

  async #close(batchId: string): Promise<void> {
    const log = await this.#logs.get(batchId)
    this.#logs.delete(batchId)
    await log?.[Symbol.asyncDispose]()
  }
}

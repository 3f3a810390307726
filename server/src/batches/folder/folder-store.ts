import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ArgumentError } from 'dotpool'
import lockfile from 'proper-lockfile'
import { isOver } from '../lifecycle.js'
import type { BatchStore, Hold } from '../store.js'
import { FolderBatches } from './folder-batches.js'
import { FolderFiles } from './folder-files.js'
import { FolderQueue } from './folder-queue.js'
import { FolderResults } from './folder-results.js'

/** A process that was killed leaves its lock, which another takes after this time. */
const STALE_MILLIS = 5000
/** How often one that waits for it looks, and how often in all: somewhat longer than that. */
const RETRIES = { retries: 14, factor: 1, minTimeout: 500 }

/** Files and batches in a folder, which one process at a time owns. */
export class FolderStore implements BatchStore {
  readonly files: FolderFiles
  readonly batches: FolderBatches
  readonly queue: FolderQueue
  readonly results: FolderResults
  readonly #lost: AbortSignal
  readonly #unlock: () => Promise<void>

  private constructor(
    files: FolderFiles,
    batches: FolderBatches,
    results: FolderResults,
    lost: AbortSignal,
    unlock: () => Promise<void>,
  ) {
    this.files = files
    this.batches = batches
    this.results = results
    this.queue = new FolderQueue(files, results, lost)
    this.#lost = lost
    this.#unlock = unlock
  }

  /**
   * Opens a folder, or makes it. Where a process that used it was killed, this takes some seconds.
   *
   * @throws ArgumentError where another process uses it, or it cannot be written to
   */
  static async open(folder: string): Promise<FolderStore> {
    const [files, batches, drafts] = ['files', 'batches', 'drafts'].map((name) =>
      join(folder, name),
    )
    for (const path of [files, batches, drafts]) await makeFolder(path)
    const lost = new AbortController()
    const unlock = await lock(folder, () => lost.abort(new Error(`another process uses ${folder}`)))
    try {
      for (const name of await readdir(drafts)) await rm(join(drafts, name))
      const table = await FolderBatches.open(batches, drafts, lost.signal)
      const results = new FolderResults(batches)
      // a process may have ended between the end of a batch and this
      for (const batch of await table.list()) if (isOver(batch)) await results.delete(batch.id)
      const stored = await FolderFiles.open(files, drafts, lost.signal)
      return new FolderStore(stored, table, results, lost.signal, unlock)
    } catch (error) {
      await unlock()
      throw error
    }
  }

  async hold(): Promise<Hold> {
    this.#lost.throwIfAborted()
    return { signal: this.#lost, [Symbol.asyncDispose]: async () => {} }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.results[Symbol.asyncDispose]()
    if (!this.#lost.aborted) await this.#unlock()
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw new ArgumentError('files', 'a folder that can be written to', (error as Error).message)
  }
}

/** @param onLost another process has taken the lock, because this one was stopped for long */
async function lock(folder: string, onLost: () => void): Promise<() => Promise<void>> {
  try {
    return await lockfile.lock(folder, {
      lockfilePath: join(folder, 'lock'),
      stale: STALE_MILLIS,
      retries: RETRIES,
      onCompromised: onLost,
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error
    throw new ArgumentError('files', 'a folder that no other process uses', folder)
  }
}

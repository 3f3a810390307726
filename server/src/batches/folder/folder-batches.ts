import { EventEmitter, on } from 'node:events'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Batch } from '../../schemas/batches.js'
import type { BatchTable } from '../store.js'
import { writeJson } from './files-on-disk.js'

/** Batches in a folder, a folder for each. */
export class FolderBatches implements BatchTable {
  readonly #folder: string
  readonly #drafts: string
  readonly #batches: Map<string, Batch>
  readonly #events = new EventEmitter<{ change: [batch: Batch] }>()
  /** Writes of a batch follow each other. */
  readonly #writes = new Map<string, Promise<void>>()

  private constructor(folder: string, drafts: string, batches: Map<string, Batch>) {
    this.#folder = folder
    this.#drafts = drafts
    this.#batches = batches
    this.#events.setMaxListeners(0)
  }

  static async open(folder: string, drafts: string): Promise<FolderBatches> {
    const batches = new Map<string, Batch>()
    for (const id of await readdir(folder)) {
      const text = await readFile(join(folder, id, FILE), 'utf8').catch((error) => {
        // the process has ended before it was made
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      if (text !== undefined) batches.set(id, JSON.parse(text) as Batch)
    }
    return new FolderBatches(folder, drafts, batches)
  }

  async create(batch: Batch): Promise<void> {
    await mkdir(join(this.#folder, batch.id))
    await this.#write(batch)
  }

  async get(id: string): Promise<Batch | undefined> {
    return this.#batches.get(id)
  }

  async list(): Promise<Batch[]> {
    return [...this.#batches.values()]
  }

  async update(
    id: string,
    change: (batch: Batch) => Batch | undefined,
  ): Promise<Batch | undefined> {
    const before = this.#batches.get(id)
    const after = before && change(before)
    if (after !== undefined) await this.#write(after)
    return after ?? before
  }

  async *changes(signal: AbortSignal): AsyncGenerator<Batch, void, void> {
    const changed = on(this.#events, 'change', { signal })
    yield* [...this.#batches.values()]
    for await (const [batch] of changed) yield batch
  }

  /** What it is now is known at once, and told once it is on the disk. */
  async #write(batch: Batch): Promise<void> {
    const { id } = batch
    this.#batches.set(id, batch)
    const write = (this.#writes.get(id) ?? Promise.resolve()).then(() =>
      writeJson(join(this.#folder, id, FILE), batch, this.#drafts),
    )
    const settled = write.catch(() => {})
    this.#writes.set(id, settled)
    await write
    if (this.#writes.get(id) === settled) this.#writes.delete(id)
    this.#events.emit('change', batch)
  }
}

const FILE = 'batch.json'

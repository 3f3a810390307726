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
  readonly #lost: AbortSignal
  readonly #events = new EventEmitter<{ change: [batch: Batch] }>()
  /** Changes of a batch follow each other. */
  readonly #turns = new Map<string, Promise<unknown>>()

  private constructor(
    folder: string,
    drafts: string,
    batches: Map<string, Batch>,
    lost: AbortSignal,
  ) {
    this.#folder = folder
    this.#drafts = drafts
    this.#batches = batches
    this.#lost = lost
    this.#events.setMaxListeners(0)
  }

  /** @param drafts a folder for what is not complete; @param lost aborts where the folder is another's */
  static async open(folder: string, drafts: string, lost: AbortSignal): Promise<FolderBatches> {
    const batches = new Map<string, Batch>()
    for (const id of await readdir(folder)) {
      const text = await readFile(join(folder, id, FILE), 'utf8').catch((error) => {
        // the process has ended before it was made
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      if (text !== undefined) batches.set(id, JSON.parse(text) as Batch)
    }
    return new FolderBatches(folder, drafts, batches, lost)
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
    return await this.#inTurn(id, async () => {
      const before = this.#batches.get(id)
      const after = before && change(before)
      if (after !== undefined) await this.#write(after)
      return after ?? before
    })
  }

  async *changes(signal: AbortSignal): AsyncGenerator<Batch, void, void> {
    const changed = on(this.#events, 'change', { signal })
    yield* [...this.#batches.values()]
    for await (const [batch] of changed) yield batch
  }

  async #write(batch: Batch): Promise<void> {
    this.#lost.throwIfAborted()
    await writeJson(join(this.#folder, batch.id, FILE), batch, this.#drafts)
    this.#batches.set(batch.id, batch)
    this.#events.emit('change', batch)
  }

  async #inTurn<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(work)
    const ended = turn.catch(() => {})
    this.#turns.set(id, ended)
    try {
      return await turn
    } finally {
      if (this.#turns.get(id) === ended) this.#turns.delete(id)
    }
  }
}

const FILE = 'batch.json'

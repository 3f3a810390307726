import { EventEmitter, once, setMaxListeners } from 'node:events'
import { open } from 'node:fs/promises'
import type { Batch } from '../../schemas/batches.js'
import type { BatchLine } from '../line.js'
import type { LineResult } from '../result.js'
import type { LineQueue, LineTask } from '../store.js'
import type { FolderFiles } from './folder-files.js'
import type { FolderResults } from './folder-results.js'

/** A line without its body, which stays in the input file until it is run. */
type Waiting = Omit<BatchLine, 'body'>

/** The lines of a batch that can be taken. */
interface Entry {
  readonly inputFileId: string
  /** By the model that they ask, those to be taken first at the end. */
  readonly waiting: Map<string, Waiting[]>
  readonly withdrawn: AbortController
}

/** The lines that wait, in memory: what has no result on the disk is queued again when the process starts. */
export class FolderQueue implements LineQueue {
  readonly #files: FolderFiles
  readonly #results: FolderResults
  readonly #lost: AbortSignal
  readonly #entries = new Map<string, Entry>()
  readonly #events = new EventEmitter<{ waiting: [] }>()

  /** @param lost aborts where the folder is another's */
  constructor(files: FolderFiles, results: FolderResults, lost: AbortSignal) {
    this.#files = files
    this.#results = results
    this.#lost = lost
    this.#events.setMaxListeners(0)
  }

  async add(batch: Batch, lines: AsyncIterable<BatchLine>): Promise<void> {
    const log = await this.#results.of(batch.id)
    const added = new Map<string, Waiting[]>()
    for await (const { body: _, ...line } of lines) {
      if (log.has(line.number)) continue
      const ofModel = added.get(line.model)
      if (ofModel === undefined) added.set(line.model, [line])
      else ofModel.push(line)
    }
    for (const ofModel of added.values()) ofModel.reverse()
    const withdrawn = new AbortController()
    // each line that runs listens
    setMaxListeners(0, withdrawn.signal)
    this.#entries.set(batch.id, {
      inputFileId: batch.input_file_id,
      waiting: added,
      withdrawn,
    })
    this.#events.emit('waiting')
  }

  async take(model: string, signal: AbortSignal): Promise<LineTask> {
    for (;;) {
      signal.throwIfAborted()
      this.#lost.throwIfAborted()
      const found = this.#find(model)
      if (found !== undefined) return await this.#toTask(...found)
      await once(this.#events, 'waiting', { signal })
    }
  }

  async withdraw(batchId: string): Promise<void> {
    this.#entries.get(batchId)?.withdrawn.abort()
    this.#entries.delete(batchId)
  }

  #find(model: string): [batchId: string, entry: Entry, line: Waiting] | undefined {
    // ids are in the order of their time
    for (const batchId of [...this.#entries.keys()].sort()) {
      const entry = this.#entries.get(batchId)
      const line = entry?.waiting.get(model)?.pop()
      if (entry !== undefined && line !== undefined) return [batchId, entry, line]
    }
    return undefined
  }

  async #toTask(batchId: string, entry: Entry, line: Waiting): Promise<LineTask> {
    const release = async () => {
      entry.waiting.get(line.model)?.push(line)
      this.#events.emit('waiting')
    }
    try {
      return {
        batchId,
        line: { ...line, body: await this.#readBody(entry.inputFileId, line) },
        signal: entry.withdrawn.signal,
        finish: async (result: LineResult) => {
          if (entry.withdrawn.signal.aborted) return
          const log = await this.#results.of(batchId)
          await log.append(line.number, result)
        },
        release,
      }
    } catch (error) {
      await release()
      throw error
    }
  }

  async #readBody(fileId: string, { offset, bytes }: Waiting): Promise<object> {
    const file = await open(this.#files.path(fileId))
    try {
      const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, offset)
      return JSON.parse(buffer.toString('utf8').replace(/^\uFEFF/, '')).body
    } finally {
      await file.close()
    }
  }
}

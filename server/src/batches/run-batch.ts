import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename, dirname } from 'node:path'
import { ArgumentError } from 'dotpool'
import { nowSeconds } from '../ids.js'
import type { ModelStore } from '../models/store.js'
import { type Batch, endpoints } from '../schemas/batches.js'
import { createServer } from '../server.js'
import { writeWhole } from './folder/files-on-disk.js'
import { FolderStore } from './folder/folder-store.js'
import { makeOrderedId } from './ids.js'
import { readLines } from './input-lines.js'
import { beginBatch, isOver } from './lifecycle.js'

export interface RunBatchOptions {
  /** What the lines ask. They are left loaded. */
  models: ModelStore
  /** A file of requests, in JSONL. */
  input: string
  /** Where answers are written once all lines have one, in the order of the lines. */
  output: string
  /** Where lines that failed are written, if there are any. */
  errors: string
  /** Where progress is kept until then: another call with the same goes on from there. */
  folder: string
  /** Receives the batch each time that more of it is done. */
  onProgress?: ((batch: Batch) => void) | undefined
  /** Stops it, for another call to go on. */
  signal?: AbortSignal | undefined
}

/** The longest that may be. */
const WINDOW = '9999d'

/**
 * Runs a batch on models of this process, without a server. What was done is kept on the disk, line by line.
 *
 * @returns the batch once it is over: completed, or failed where the input is not in order
 * @throws ArgumentError where the folder has the progress of another input; the signal's reason
 */
export async function runBatch(options: RunBatchOptions): Promise<Batch> {
  const { models, folder, signal = new AbortController().signal } = options
  const store = await FolderStore.open(folder)
  const app = createServer({ models, batches: store, page: false, drainSeconds: 0, ...quiet })
  try {
    await app.ready()
    await models.ready
    const { id } = await beginOrGoOn(store, options)
    const batch = await untilOver(store, id, signal, options.onProgress)
    await writeFile(store, batch.output_file_id, options.output)
    await writeFile(store, batch.error_file_id, options.errors)
    return batch
  } finally {
    await app.close()
  }
}

/** Errors that are no line's are told on stderr. */
const quiet = { logger: { level: 'error', stream: process.stderr } }

async function beginOrGoOn(store: FolderStore, { input, folder }: RunBatchOptions): Promise<Batch> {
  const sha256 = await digestOf(input)
  const [found] = await store.batches.list()
  if (found !== undefined) {
    if (found.metadata?.sha256 === sha256) return found
    const expected = `the progress of ${basename(input)}; delete the folder to begin anew`
    throw new ArgumentError('folder', expected, `that of another input in ${folder}`)
  }
  const description = {
    id: makeOrderedId('file-'),
    object: 'file' as const,
    created_at: nowSeconds(),
    filename: basename(input),
    purpose: 'batch' as const,
    status: 'processed' as const,
  }
  const file = await store.files.put(description, createReadStream(input))
  const batch = beginBatch({
    input_file_id: file.id,
    endpoint: await endpointOf(input),
    completion_window: WINDOW,
    metadata: { sha256 },
  })
  await store.batches.create(batch)
  return batch
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part)
  return hash.digest('hex')
}

/** That of the first line, which all others are to have. */
async function endpointOf(path: string): Promise<Batch['endpoint']> {
  for await (const { text = '' } of readLines(createReadStream(path), Number.MAX_SAFE_INTEGER)) {
    const found = endpoints.find((endpoint) => endpoint === urlIn(text))
    // the batch says what is wrong with the line
    return found ?? endpoints[0]
  }
  return endpoints[0]
}

function urlIn(text: string): unknown {
  try {
    return JSON.parse(text)?.url
  } catch {
    return undefined
  }
}

async function untilOver(
  store: FolderStore,
  id: string,
  signal: AbortSignal,
  onProgress: (batch: Batch) => void = () => {},
): Promise<Batch> {
  try {
    for await (const batch of store.batches.changes(signal)) {
      if (batch.id !== id) continue
      onProgress(batch)
      if (isOver(batch)) return batch
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
  throw new Error('unreachable: changes have no end')
}

async function writeFile(store: FolderStore, id: string | null, path: string): Promise<void> {
  if (id !== null) await writeWhole(path, store.files.read(id), dirname(path))
}

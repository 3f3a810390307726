import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { ArgumentError } from '../errors.js'
import { BatchClient, type BatchState } from './batch-client.js'

/** How often the server is asked how far a batch is. */
const POLL_MILLIS = 1000

export interface RemoteBatchOptions {
  url: string
  apiKey: string | undefined
  input: string
  output: string
  errors: string
  /** Where it is kept which batch the server runs, for another call to go on with. */
  folder: string
  /** Lines that did not run by then expire. */
  window: string
  onProgress(batch: BatchState): void
  signal: AbortSignal
}

/** What a call keeps for the next one. */
interface Kept {
  readonly url: string
  /** Digest of the input. */
  readonly sha256: string
  /** What the batch is known by before the server has told its id. */
  readonly run: string
  readonly fileId?: string
  readonly batchId?: string
}

/**
 * Has a server run a batch, and waits for its answers.
 *
 * @returns the batch once it is over
 * @throws ArgumentError where the server does not answer, or the folder is of another batch; the signal's reason
 */
export async function runRemoteBatch(options: RemoteBatchOptions): Promise<BatchState> {
  const { url, apiKey, folder, output, errors, onProgress, signal } = options
  const client = new BatchClient(url, apiKey, signal)
  await mkdir(folder, { recursive: true })
  const id = await beginOrGoOn(client, options)
  for (;;) {
    const batch = await client.get(id)
    onProgress(batch)
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
      if (batch.output_file_id !== null) await client.download(batch.output_file_id, output)
      if (batch.error_file_id !== null) await client.download(batch.error_file_id, errors)
      return batch
    }
    await setTimeout(POLL_MILLIS, undefined, { signal })
  }
}

/** Uploads the input and has the server begin, as far as no earlier call did. @returns the batch's id */
async function beginOrGoOn(
  client: BatchClient,
  { url, input, folder, window }: RemoteBatchOptions,
): Promise<string> {
  const path = join(folder, 'batch.json')
  const { sha256, endpoint } = await read(input)
  const keep = async (kept: Kept) => {
    await writeFile(path, JSON.stringify(kept))
    return kept
  }
  const begun = await readKept(path)
  if (begun !== undefined && (begun.sha256 !== sha256 || begun.url !== url)) {
    const expected = `the progress of ${input} at ${url}; delete the folder to begin anew`
    throw new ArgumentError('--out', expected, `that of another batch in ${folder}`)
  }
  const kept = begun ?? (await keep({ url, sha256, run: randomUUID() }))
  if (kept.batchId !== undefined) return kept.batchId
  // the server may have begun when its answer was lost
  const found = (await client.list()).find(({ metadata }) => metadata?.run === kept.run)
  const input_file_id = kept.fileId ?? (await client.upload(input))
  if (kept.fileId === undefined) await keep({ ...kept, fileId: input_file_id })
  const metadata = { run: kept.run }
  const fields = { input_file_id, endpoint, completion_window: window, metadata }
  const { id } = found ?? (await client.create(fields))
  await keep({ ...kept, fileId: input_file_id, batchId: id })
  return id
}

async function readKept(path: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The digest of the input, and the url that its first line asks. */
async function read(input: string): Promise<{ sha256: string; endpoint: string }> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(input)) hash.update(part)
  let endpoint: unknown
  for await (const line of createInterface({ input: createReadStream(input) })) {
    if (line.trim() === '') continue
    endpoint = urlIn(line)
    break
  }
  if (typeof endpoint === 'string') return { sha256: hash.digest('hex'), endpoint }
  const expected =
    'lines such as {"custom_id":"1","method":"POST","url":"/v1/completions","body":{}}'
  throw new ArgumentError('input', expected, `none at the beginning of ${input}`)
}

function urlIn(line: string): unknown {
  try {
    return JSON.parse(line)?.url
  } catch {
    return undefined
  }
}

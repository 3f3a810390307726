import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { ArgumentError } from '../errors.js'
import type { Model } from '../model/model.js'
import { Pool } from '../pool/pool.js'
import type { BatchState } from './batch-client.js'
import { BatchProgress } from './batch-progress.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { type ModelFlags, runOptions, toLoadOptions } from './model-options.js'
import { type NamedPath, namedModel } from './named-model.js'
import { addOptions, byteCount } from './options.js'
import { runRemoteBatch } from './remote-batch.js'
import { importServer } from './server-package.js'

/** What is used of the package that serves. */
interface ServerPackage {
  ModelStore: new (models: ReadonlyMap<string, Model>) => object
  runBatch(options: {
    models: object
    input: string
    output: string
    errors: string
    folder: string
    onProgress(batch: BatchState): void
    signal: AbortSignal
  }): Promise<BatchState>
}

interface BatchFlags extends Omit<ModelFlags, 'model'> {
  out: string
  errors?: string
  model?: NamedPath[]
  kvBytes?: number
  url?: string
  apiKey?: string
  window: string
}

/** Where a batch's answers go, and its progress until then. */
interface Places {
  readonly input: string
  readonly output: string
  readonly errors: string
  readonly folder: string
}

export const batchCommand = new Command('batch')
  .description("run a file of requests, as OpenAI's Batch API has them, by a model or a server")
  .argument('<input>', 'the requests: JSONL of custom_id, method, url and body')
  .requiredOption('--out <file>', 'where answers are written, in the order of the requests')
  .option('--errors <file>', 'where requests that failed are written (default: FILE.errors.jsonl)')
  .addOption(
    new Option(
      '--model <[name=]path>',
      'a checkpoint folder, a GGUF file or a packed model, and what requests call it; can be repeated',
    ).argParser(namedModel),
  )
  .option(
    '--kv-bytes <bytes>',
    'the most memory for keys and values of each model (default: a quarter of what is available)',
    byteCount,
  )
  .addOption(new Option('--url <url>', 'a server to run it by').conflicts('model'))
  .addOption(new Option('--api-key <key>', 'of that server').env('DOTPOOL_API_KEY'))
  .option('--window <time>', 'the time after which requests of that server expire', '24h')
  .action(async (input: string, flags: BatchFlags) => {
    const places = toPlaces(input, flags)
    await interruptible(async (signal) => {
      using progress = new BatchProgress()
      const onProgress = ({ request_counts: counts }: BatchState) => progress.show(counts)
      try {
        const batch =
          flags.url === undefined
            ? await runHere(places, flags, onProgress, signal)
            : await runThere(places, flags.url, flags, onProgress, signal)
        progress[Symbol.dispose]()
        // whoever is interrupted from here on has the answers
        await rm(places.folder, { recursive: true })
        report(batch, progress, places)
      } catch (error) {
        if (!signal.aborted) throw error
        progress[Symbol.dispose]()
        console.error(`stopped: ${progress.summary()}; the same command goes on from there`)
      }
    })
  })

addOptions(batchCommand, runOptions())

/** @throws ArgumentError if there is no input, or there are answers already */
function toPlaces(input: string, { out, errors, url, model }: BatchFlags): Places {
  if (url === undefined && model === undefined) {
    throw new ArgumentError('--model', 'a model, or a server by --url', 'neither')
  }
  if (!existsSync(input)) throw new ArgumentError('input', 'a file', `none at ${input}`)
  if (existsSync(out)) {
    const expected = 'a file that is not there yet; delete it to run all requests again'
    throw new ArgumentError('--out', expected, out)
  }
  const withoutEnd = out.replace(/\.jsonl$/, '')
  return {
    input,
    output: out,
    errors: errors ?? `${withoutEnd}.errors.jsonl`,
    folder: `${out}.partial`,
  }
}

/** By models of this process. */
async function runHere(
  places: Places,
  flags: BatchFlags,
  onProgress: (batch: BatchState) => void,
  signal: AbortSignal,
): Promise<BatchState> {
  const { ModelStore, runBatch } = await importServer<ServerPackage>('batch')
  await using pool = await Pool.create({ threads: flags.threads })
  const models = new Map<string, Model>()
  for (const { name, path } of flags.model ?? []) {
    const options = { ...toLoadOptions({ ...flags, model: path }), kvBytes: flags.kvBytes }
    models.set(name, await loadModel(pool, path, { ...options, signal }))
  }
  return await runBatch({ ...places, models: new ModelStore(models), onProgress, signal })
}

async function runThere(
  places: Places,
  url: string,
  { apiKey, window }: BatchFlags,
  onProgress: (batch: BatchState) => void,
  signal: AbortSignal,
): Promise<BatchState> {
  return await runRemoteBatch({ ...places, url, apiKey, window, onProgress, signal })
}

/** Tells how it has ended; the exit code is 1 unless all requests have succeeded. */
function report(batch: BatchState, progress: BatchProgress, { errors }: Places): void {
  for (const { line, code, message } of batch.errors?.data ?? []) {
    console.error(`${line === null ? 'input' : `line ${line}`}: ${message} (${code})`)
  }
  const where = batch.error_file_id === null ? '' : `, see ${errors}`
  console.error(`${batch.status}: ${progress.summary()}${where}`)
  if (batch.status !== 'completed' || batch.error_file_id !== null) process.exitCode = 1
}

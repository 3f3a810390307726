import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { ArgumentError } from '../errors.js'
import { measureReadBandwidth } from '../measure/read-bandwidth.js'
import { Model } from '../model/model.js'
import { Pool } from '../pool/pool.js'
import { type FleetFlags, fleetOptions, toFleet } from './fleet-options.js'
import { loadModel } from './load-model.js'
import { type ModelFlags, runOptions, toLoadOptions } from './model-options.js'
import { type NamedPath, namedModel } from './named-model.js'
import { addOptions, byteCount, collect, number } from './options.js'
import { importServer } from './server-package.js'
import { warmUp } from './warm-up.js'

interface ModelLoader {
  bytes: number
  maxContext: number
  load(): Promise<Model>
}

/** What is used of it. */
interface ServerPackage {
  ModelStore: new (
    models: Promise<ReadonlyMap<string, ModelLoader>>,
    options: { memoryBytes: number | undefined; maxWaiting: number },
  ) => object
  serve(options: {
    models: object | undefined
    fleet: object | undefined
    host: string
    port: number
    apiKeys: readonly string[]
    readBandwidth: number | undefined
    files: string | undefined
    tls: { cert: string; key: string } | undefined
    corsOrigins: readonly string[]
    maxChoices: number
    requestTimeoutSeconds: number
    drainSeconds: number
    bodyLimit: number
  }): Promise<void>
}

interface ServeFlags extends Omit<ModelFlags, 'model'>, FleetFlags {
  model?: NamedPath[]
  host: string
  port: number
  memory?: number
  maxQueue: number
  maxQueuedTokens?: number
  targetTtft: number
  kvBytes?: number
  files?: string
  apiKey?: string[]
  apiKeyFile?: string
  tlsCert?: string
  tlsKey?: string
  cors?: string[]
  maxChoices: number
  timeout: number
  drain: number
  bodyLimit: number
}

export const serveCommand = new Command('serve')
  .description("serve models by OpenAI's protocol, over HTTP")
  .addOption(
    new Option(
      '--model <[name=]path>',
      'a checkpoint folder, a GGUF file or a packed model, and what requests call it; can be repeated',
    ).argParser(namedModel),
  )
  .option('--host <address>', 'where to listen; 0.0.0.0 is everywhere', '127.0.0.1')
  .option('--port <n>', 'where to listen', number, 8000)
  .option(
    '--memory <bytes>',
    'the most memory of all models, such as 8g: those that no request uses are unloaded for others',
    byteCount,
  )
  .option('--max-queue <n>', 'requests that may wait; more are told to come again', number, 128)
  .option(
    '--max-queued-tokens <n>',
    'tokens of prompts that may wait to be computed (default: what --target-ttft allows)',
    number,
  )
  .option(
    '--target-ttft <seconds>',
    'the time to the first token to which --max-queued-tokens is fitted, by the speed of the machine',
    number,
    10,
  )
  .option(
    '--kv-bytes <bytes>',
    'the most memory for keys and values of each model (default: a quarter of what is available, or of --memory)',
    byteCount,
  )
  .option(
    '--files <folder>',
    'keep files and batches here; batches run while models have nothing else to do (default: off)',
  )
  .option('--api-key <key>', 'requests must bring it; can be repeated', collect)
  .option('--api-key-file <file>', 'a file of such keys, one a line')
  .option('--tls-cert <file>', 'serve HTTPS by this certificate; SIGHUP reads it again')
  .option('--tls-key <file>', 'its private key')
  .option('--cors <origin>', 'pages of it may call from a browser; can be repeated', collect)
  .option('--max-choices <n>', 'the most choices of one request', number, 8)
  .option('--timeout <seconds>', 'a request that takes longer is ended', number, 600)
  .option('--drain <seconds>', 'how long requests may take to end after SIGTERM', number, 30)
  .option('--body-limit <bytes>', 'the largest body of a request', byteCount, 2 << 20)
  .action(async (flags: ServeFlags, command: Command) => {
    const fleet = toFleet(flags, command)
    checkModels(flags)
    const { ModelStore, serve } = await importServer<ServerPackage>('serve')
    const apiKeys = [...(flags.apiKey ?? []), ...readKeys(flags.apiKeyFile)]
    await using pool = flags.model && (await Pool.create({ threads: flags.threads }))
    // before models are loaded, while nothing else reads
    const readBandwidth = pool && (await measureReadBandwidth(pool))
    await serve({
      models:
        pool &&
        new ModelStore(loadersOf(pool, flags), {
          memoryBytes: flags.memory,
          maxWaiting: flags.maxQueue,
        }),
      fleet,
      readBandwidth,
      files: flags.files,
      host: flags.host,
      port: flags.port,
      apiKeys,
      tls: toTls(flags),
      corsOrigins: flags.cors ?? [],
      maxChoices: flags.maxChoices,
      requestTimeoutSeconds: flags.timeout,
      drainSeconds: flags.drain,
      bodyLimit: flags.bodyLimit,
    })
  })

addOptions(serveCommand, fleetOptions())
addOptions(serveCommand, runOptions())

/** How each model is loaded, and run once, so that the first request finds it warm. */
async function loadersOf(pool: Pool, flags: ServeFlags): Promise<Map<string, ModelLoader>> {
  const { maxQueue, memory, kvBytes = memory && Math.ceil(memory / 4) } = flags
  const options = { ...toLoadOptions({ ...flags, model: '' }), kvBytes }
  const loaders = new Map<string, ModelLoader>()
  for (const { name, path } of flags.model ?? []) {
    const { parameterBytes, kvBytes, maxContext } = await Model.inspect(path, options)
    const load = async () => {
      const model = await loadModel(pool, path, options)
      const maxQueuedTokens = Math.ceil((await warmUp(model)) * flags.targetTtft)
      model.limitQueue({ maxQueue, maxQueuedTokens: flags.maxQueuedTokens ?? maxQueuedTokens })
      return model
    }
    loaders.set(name, { bytes: parameterBytes + kvBytes, maxContext, load })
  }
  return loaders
}

/** Who runs models has some; a gateway has none. */
function checkModels({ model, role }: ServeFlags): void {
  if (role === 'gateway' && model !== undefined) {
    throw new ArgumentError('--model', 'none, for the workers of a gateway have the models', 'some')
  }
  if (role !== 'gateway' && model === undefined) {
    throw new ArgumentError('--model', 'at least one [name=]path', 'none')
  }
}

function toTls({ tlsCert: cert, tlsKey: key }: ServeFlags) {
  if (cert !== undefined && key !== undefined) return { cert, key }
  if (cert === undefined && key === undefined) return undefined
  throw new ArgumentError('--tls-cert', 'it and --tls-key', `only ${cert ?? key}`)
}

function readKeys(file: string | undefined): string[] {
  if (file === undefined) return []
  const keys = readFileSync(file, 'utf8').split(/\s+/).filter(Boolean)
  if (keys.length > 0) return keys
  throw new ArgumentError('--api-key-file', 'at least one key', `none in ${file}`)
}

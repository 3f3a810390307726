import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { cachedModel } from '../../dist/bench/models/cache.js'
import { modelShapes } from '../../dist/bench/models/shapes.js'
import { threadsOption } from '../../dist/src/cli/options.js'
import { Checkpoint } from '../../dist/src/index.js'
import { type ServerName, servers } from './servers.js'

export interface Options {
  subject: Subject
  servers: ServerName[]
  threads: number
  /** Streams of closed loops. */
  streams: number[]
  /** Rates of open loops. */
  perSecond: number[]
  /** In each round; by default, two for each stream, and eight for an open loop. */
  requests: number | undefined
  prompt: number
  tokens: number
  rounds: number
  /** The folder to write to. */
  out: string
}

/** A model that all run. */
export interface Subject {
  readonly name: string
  readonly vocabSize: number
  /** A GGUF file that all load, or a folder in Hugging Face's format, which only dotpool does. */
  path(): Promise<string>
  readonly isGguf: boolean
}

interface Flags extends Omit<Options, 'subject' | 'servers' | 'streams' | 'perSecond'> {
  model: Subject
  gguf?: string
  server?: ServerName[]
  streams?: number[]
  perSecond?: number[]
}

const FIXTURE = 'fixture'
const fixture: Subject = {
  name: 'qwen3-shakespeare',
  vocabSize: 2048,
  isGguf: false,
  path: async () => {
    return fileURLToPath(new URL('../../fixtures/qwen3-shakespeare-w8a8', import.meta.url))
  },
}

const modelNames = [FIXTURE, ...modelShapes.map(({ name }) => name)].join(', ')
const serverNames = Object.keys(servers) as ServerName[]

const command = new Command('bench:serve')
  .description('put load on the server, and on others, taking turns')
  .option('--model <name>', `one of ${modelNames}`, readModel, readModel(modelShapes[0].name))
  .option('--gguf <file>', 'a real model instead, from this file')
  .option('--server <name>', `one of ${serverNames}; can be repeated (default: all)`, addServer)
  .addOption(threadsOption())
  .option('--streams <n>', 'requests at a time; can be repeated (default: 1, 8, 32, 128)', add)
  .option('--per-second <n>', 'requests at random times instead; can be repeated', add)
  .option('--requests <n>', 'of each round (default: two for each stream, or 8)', positive)
  .option('--prompt <n>', 'tokens of a prompt', positive, 16)
  .option('--tokens <n>', 'tokens of an answer', positive, 32)
  .option('--rounds <n>', 'turns of each', positive, 3)
  .option('--out <folder>', 'where to write', fileURLToPath(new URL('results', import.meta.url)))

/** Parses the command line. Ends the process for --help and for invalid options. */
export async function readOptions(): Promise<Options> {
  const { model, gguf, server, streams, perSecond = [], ...others } = command.parse().opts<Flags>()
  const subject = gguf === undefined ? model : await ggufSubject(gguf)
  return {
    ...others,
    subject,
    servers: (server ?? serverNames).filter((name) => subject.isGguf || name === 'dotpool'),
    streams: streams ?? (perSecond.length > 0 ? [] : [1, 8, 32, 128]),
    perSecond,
    requests: others.requests,
  }
}

function readModel(name: string): Subject {
  if (name === FIXTURE) return fixture
  const shape = modelShapes.find((candidate) => candidate.name === name)
  if (shape === undefined) throw new InvalidArgumentError(`It is one of ${modelNames}.`)
  const { vocabSize } = shape
  const path = async () => (await cachedModel(shape, 8)).q8_0
  return { name, vocabSize, isGguf: true, path }
}

async function ggufSubject(path: string): Promise<Subject> {
  // npm changes the folder of this process
  const file = resolve(process.env.INIT_CWD ?? '.', path)
  if (!existsSync(file)) command.error(`error: there is no file ${path}`)
  await using checkpoint = await Checkpoint.open(file)
  const { vocabSize } = checkpoint.config
  return { name: basename(file, '.gguf'), vocabSize, isGguf: true, path: async () => file }
}

function addServer(name: string, others: ServerName[] = []): ServerName[] {
  const found = serverNames.find((candidate) => candidate === name)
  if (found === undefined) throw new InvalidArgumentError(`It is one of ${serverNames}.`)
  return [...others, found]
}

function add(text: string, others: number[] = []): number[] {
  const value = Number(text)
  if (value > 0) return [...others, value]
  throw new InvalidArgumentError('It is a positive number.')
}

function positive(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It is a positive integer.')
}

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Bits } from '../../../dist/bench/models/bits.js'
import { type ModelShape, modelShapes } from '../../../dist/bench/models/shapes.js'
import { usableThreads } from '../../../dist/src/cpus/usable.js'

export interface Options {
  shapes: ModelShape[]
  /** Of the weights of their Linears. */
  bits: Bits
  /** Files of real models. */
  ggufs: string[]
  threadCounts: number[]
  /** How often a prompt is prefilled. */
  prompts: number
  /** The folder to write to. */
  out: string
}

interface Flags {
  shape?: ModelShape[]
  bits: string
  gguf?: string[]
  threads?: number[]
  prompts: number
  out: string
}

/** The median of fewer says nothing. */
const LEAST_PROMPTS = 5

const shapeNames = modelShapes.map(({ name }) => name).join(', ')
const threadCounts = [...new Set([1, usableThreads()])]

export const command = new Command('bench:models')
  .description('time whole models against those of other runtimes, taking turns')
  .option('--shape <name>', `one of ${shapeNames}; can be repeated (default: the first)`, addShape)
  .addOption(
    new Option('--bits <n>', 'of the weights of their Linears')
      .choices(['8', '4'])
      .default('8')
      .conflicts('gguf'),
  )
  .option('--gguf <file>', 'a real model instead, from this file; can be repeated', addFile)
  .option('--threads <n>', `can be repeated (default: ${threadCounts.join(', ')})`, addThreads)
  .option('--prompts <n>', 'how often a prompt is prefilled', readPrompts, LEAST_PROMPTS)
  .option('--out <folder>', 'where to write', fileURLToPath(new URL('results', import.meta.url)))

/** Parses the command line. Ends the process for --help and for invalid options. */
export function readOptions(): Options {
  const flags = command.parse().opts<Flags>()
  return {
    shapes: flags.shape ?? (flags.gguf === undefined ? modelShapes.slice(0, 1) : []),
    bits: flags.bits === '4' ? 4 : 8,
    ggufs: flags.gguf ?? [],
    threadCounts: flags.threads ?? threadCounts,
    prompts: flags.prompts,
    out: flags.out,
  }
}

function addShape(name: string, others: ModelShape[] = []): ModelShape[] {
  const shape = modelShapes.find((candidate) => candidate.name === name)
  if (shape === undefined) throw new InvalidArgumentError(`It is one of ${shapeNames}.`)
  return [...others, shape]
}

function addFile(path: string, others: string[] = []): string[] {
  // npm changes the folder of this process
  const file = resolve(process.env.INIT_CWD ?? '.', path)
  if (!existsSync(file)) throw new InvalidArgumentError('There is no such file.')
  return [...others, file]
}

function addThreads(text: string, others: number[] = []): number[] {
  return [...others, integer(text, 1)]
}

function readPrompts(text: string): number {
  return integer(text, LEAST_PROMPTS)
}

function integer(text: string, least: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new InvalidArgumentError(`It is an integer of at least ${least}.`)
}

import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Bits } from '../../dist/bench/models/bits.js'
import { type Shape, shapes } from '../../dist/bench/runner.js'
import { threadsOption } from '../../dist/src/cli/options.js'

export interface Options {
  threads: number
  shapes: Shape[]
  /** Of weights. */
  bits: Bits
  rowCounts: number[]
  /** The folder to write to. */
  out: string
}

interface Flags {
  threads: number
  shape?: Shape[]
  rows?: number[]
  bits: string
  out: string
}

const shapeOf = new Map(shapes.map((shape) => [`${shape.k}x${shape.n}`, shape]))
const shapeNames = [...shapeOf.keys()].join(', ')
const rowCounts = [1, 32, 128, 512]

export const command = new Command('bench:peers')
  .description('time Linears against those of other runtimes, taking turns')
  .addOption(threadsOption())
  .option('--shape <KxN>', `one of ${shapeNames}; can be repeated (default: all)`, addShape)
  .addOption(new Option('--bits <n>', 'of weights').choices(['8', '4']).default('8'))
  .option('--rows <m>', `can be repeated (default: ${rowCounts.join(', ')})`, addRows)
  .option('--out <folder>', 'where to write', fileURLToPath(new URL('results', import.meta.url)))

/** Parses the command line. Ends the process for --help and for invalid options. */
export function readOptions(): Options {
  const flags = command.parse().opts<Flags>()
  return {
    threads: flags.threads,
    shapes: flags.shape ?? shapes,
    bits: flags.bits === '4' ? 4 : 8,
    rowCounts: flags.rows ?? rowCounts,
    out: flags.out,
  }
}

function addShape(name: string, others: Shape[] = []): Shape[] {
  const shape = shapeOf.get(name)
  if (shape === undefined) throw new InvalidArgumentError(`It is one of ${shapeNames}.`)
  return [...others, shape]
}

function addRows(text: string, others: number[] = []): number[] {
  const m = Number(text)
  // the rival in C has no remainder loop
  if (m !== 1 && !(m > 0 && m % 4 === 0)) throw new InvalidArgumentError('1 or a multiple of 4.')
  return [...others, m]
}

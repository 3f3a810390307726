import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Shape, shapes } from '../../dist/bench/runner.js'
import { usableThreads } from '../../dist/src/cpus/usable.js'

export interface Options {
  threads: number
  shapes: Shape[]
  rowCounts: number[]
  /** The folder to write to. */
  out: string
}

/**
 * Reads the command line.
 *
 * @throws Error for what it cannot mean
 */
export function readOptions(): Options {
  const known = new Map(shapes.map((shape) => [`${shape.k}x${shape.n}`, shape]))
  const { values } = parseArgs({
    options: {
      threads: { type: 'string', default: String(usableThreads()) },
      shape: { type: 'string', multiple: true, default: [...known.keys()] },
      rows: { type: 'string', multiple: true, default: ['1', '32', '128', '512'] },
      out: { type: 'string', default: fileURLToPath(new URL('results', import.meta.url)) },
    },
  })
  return {
    threads: Number(values.threads),
    shapes: values.shape.map((name) => {
      const shape = known.get(name)
      if (shape === undefined) throw new Error(`--shape is one of ${[...known.keys()].join(', ')}`)
      return shape
    }),
    rowCounts: values.rows.map((text) => {
      const m = Number(text)
      // the rival in C has no remainder loop
      if (m !== 1 && !(m > 0 && m % 4 === 0)) throw new Error('--rows is 1 or a multiple of 4')
      return m
    }),
    out: values.out,
  }
}

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type ModelShape, modelShapes } from '../../../dist/bench/models/shapes.js'
import { usableThreads } from '../../../dist/src/cpus/usable.js'

export interface Options {
  shapes: ModelShape[]
  threadCounts: number[]
  /** How often a prompt is read. */
  prompts: number
  /** The folder to write to. */
  out: string
}

/** The median of fewer says nothing. */
const LEAST_PROMPTS = 5

/**
 * Reads the command line.
 *
 * @throws Error for what it cannot mean
 */
export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      shape: { type: 'string', multiple: true, default: [modelShapes[0].name] },
      threads: {
        type: 'string',
        multiple: true,
        default: [...new Set(['1', String(usableThreads())])],
      },
      prompts: { type: 'string', default: String(LEAST_PROMPTS) },
      out: { type: 'string', default: fileURLToPath(new URL('results', import.meta.url)) },
    },
  })
  return {
    shapes: values.shape.map((name) => {
      const shape = modelShapes.find((candidate) => candidate.name === name)
      if (shape !== undefined) return shape
      throw new Error(`--shape is one of ${modelShapes.map((known) => known.name).join(', ')}`)
    }),
    threadCounts: values.threads.map((text) => integer('threads', text, 1)),
    prompts: integer('prompts', values.prompts, LEAST_PROMPTS),
    out: values.out,
  }
}

function integer(name: string, text: string, least: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(`--${name} is an integer of at least ${least}, not ${text}`)
}

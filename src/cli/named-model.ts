import { basename } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { checkpointPath } from './model-options.js'

/** A checkpoint, and what requests call it. */
export interface NamedPath {
  readonly name: string
  readonly path: string
}

/** Reads `name=path`, or a path, whose last part is the name then. */
export function namedModel(text: string, others: NamedPath[] = []): NamedPath[] {
  const at = text.indexOf('=')
  const path = checkpointPath(text.slice(at + 1))
  const name = at > 0 ? text.slice(0, at) : basename(path).replace(/\.(gguf|dotpool)$/, '')
  if (others.some((other) => other.name === name)) {
    throw new InvalidArgumentError(`Another model is called ${name}; name this one by name=path.`)
  }
  return [...others, { name, path }]
}

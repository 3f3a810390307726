import { InvalidArgumentError, Option } from 'commander'
import type { LoadOptions } from '../model/load.js'
import { unknownOption } from '../options.js'
import { type ModelFlags, modelOption, precisionOptions } from './model-options.js'

/** The short form of the most common reference. */
const FLOAT = 'float'

/** The model to compare with: the same checkpoint unless another is named. */
export interface Reference extends LoadOptions, Partial<Pick<ModelFlags, 'model'>> {}

/** `--against <reference>` */
export function againstOption(): Option {
  return new Option(
    '--against <reference>',
    'compare with the same model in float, or with these options: kv=float32, or quantize=none,kv=int8; or with another: model=PATH',
  ).argParser(readReference)
}

/**
 * Parses `float`, or the command's options: `quantize=none,kv=int8`.
 *
 * @throws ArgumentError for an unknown option, InvalidArgumentError for an invalid value
 */
function readReference(text: string): Reference {
  if (text === FLOAT) return { quantize: 'none' }
  const allowed = [modelOption(), ...precisionOptions()]
  const known = new Map(allowed.map((option) => [option.attributeName(), option]))
  const options: Record<string, unknown> = {}
  for (const part of text.split(',')) {
    const [name, value] = splitOnce(part)
    const option = known.get(name)
    if (option === undefined) throw unknownOption('--against', name, [FLOAT, ...known.keys()])
    if (value === '') throw new InvalidArgumentError(`Write ${name}=VALUE.`)
    options[name] = option.parseArg?.(value, options[name])
  }
  return options
}

function splitOnce(part: string): [string, string] {
  const [name, ...rest] = part.split('=')
  return [name.trim(), rest.join('=').trim()]
}

/**
 * How to load the reference. Another `model`, or a change of `quantize`, starts from the defaults; otherwise options
 * that are not named are those of the model itself.
 */
export function referenceOptions(own: LoadOptions, { model, ...named }: Reference): LoadOptions {
  const isOther = model !== undefined || named.quantize !== undefined
  return isOther ? { maxContext: own.maxContext, ...named } : { ...own, ...named }
}

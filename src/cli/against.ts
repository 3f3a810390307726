import { InvalidArgumentError, Option } from 'commander'
import type { LoadOptions } from '../model/load.js'
import { unknownOption } from '../options.js'
import { type ModelFlags, modelOption, precisionOptions } from './model-options.js'

/** Short for what most want to be near to. */
const FLOAT = 'float'

/** What a model is compared with: the same checkpoint unless another is named. */
export interface Reference extends LoadOptions, Partial<Pick<ModelFlags, 'model'>> {}

/** `--against <reference>` */
export function againstOption(): Option {
  return new Option(
    '--against <reference>',
    'compare with the same model in float, or as given: kv=float32, or quantize=none,kv=int8; or with another: model=PATH',
  ).argParser(readReference)
}

/**
 * Reads `float`, or options as the command has them: `quantize=none,kv=int8`.
 *
 * @throws ArgumentError for an unknown option, InvalidArgumentError for a value that it cannot have
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
 * How to load the reference. Another `model`, or a change of `quantize`, begins with the defaults; otherwise what is
 * not named is as in the model itself.
 */
export function referenceOptions(own: LoadOptions, { model, ...named }: Reference): LoadOptions {
  const isOther = model !== undefined || named.quantize !== undefined
  return isOther ? { maxContext: own.maxContext, ...named } : { ...own, ...named }
}

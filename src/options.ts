import { closestMatch } from 'leven'
import { ArgumentError, describe } from './errors.js'

/** The names of all options of a type: TypeScript refuses a list that lacks one or has one too many. */
export type OptionNames<Options> = { readonly [Name in keyof Required<Options>]: true }

/** The options of a call that can be stopped and has no others. */
export interface AbortOptions {
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
}

export const abortOptions: OptionNames<AbortOptions> = { signal: true }

/**
 * Refuses options that no one would read, which are most likely misspelt. Costs nanoseconds, for calls
 * of a few microseconds have options, too.
 *
 * @param options as the caller gave them
 * @param argument what the caller knows them by
 * @throws ArgumentError naming the nearest right one
 */
export function checkOptions<Options extends object>(
  options: Options,
  names: OptionNames<Options>,
  argument = 'options',
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ArgumentError(argument, 'an object', describe(options))
  }
  for (const name in options) {
    if (!Object.hasOwn(names, name)) throw unknownOption(argument, name, Object.keys(names))
  }
}

/** An error that names the nearest of `names`. */
export function unknownOption(argument: string, name: string, names: string[]): ArgumentError {
  const key = fold(name)
  const nearest = closestMatch(key, names.map(fold), { maxDistance: Math.ceil(key.length / 3) })
  const expected = names.find((known) => fold(known) === nearest) ?? `one of ${names.join(', ')}`
  return new ArgumentError(argument, expected, `the unknown option ${name}`)
}

/** As other libraries spell it, `max_tokens` is as good as `maxTokens`. */
function fold(name: string): string {
  return name.replace(/[_-]/g, '').toLowerCase()
}

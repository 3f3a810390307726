import { closestMatch } from 'leven'
import { ArgumentError, checkSignal, describe } from './errors.js'

/**
 * The names of all options of a type: TypeScript refuses a list that lacks one or has one too many. Beside a name
 * stands what checks its value, or `true` where the call itself does.
 */
export type OptionNames<Options> = {
  readonly [Name in keyof Required<Options>]: true | ((argument: string, value: unknown) => void)
}

/** The options of a call that can be stopped and has no others. */
export interface AbortOptions {
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
}

export const abortOptions: OptionNames<AbortOptions> = { signal: checkSignal }

/**
 * Refuses options that no one would read, which are most likely misspelt, and reads each of the others once. Costs
 * nanoseconds, for calls of a few microseconds have options, too.
 *
 * @param options as the caller gave them
 * @param argument what the caller knows them by
 * @returns a copy, for the caller may change theirs as soon as the call has returned
 * @throws ArgumentError naming the nearest right one, or whose value is wrong
 */
export function checkOptions<Options extends object>(
  options: Options,
  names: OptionNames<NoInfer<Options>>,
  argument = 'options',
): Options {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ArgumentError(argument, 'an object', describe(options))
  }
  const copy = {} as Options
  for (const name in options) {
    if (!Object.hasOwn(names, name)) throw unknownOption(argument, name, Object.keys(names))
    const check = names[name]
    copy[name] = options[name]
    if (check !== true) check(name, copy[name])
  }
  return copy
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

import { closestMatch } from 'leven'
import { ArgumentError, checkSignal, describe } from './errors.js'

/**
 * The names of all options of a type; TypeScript rejects a list that is not complete. Each name has a function that
 * checks the option's value, or `true` if the call checks it itself.
 */
export type OptionNames<Options> = {
  readonly [Name in keyof Required<Options>]: true | ((argument: string, value: unknown) => void)
}

/** The options of a call that can be aborted and has no others. */
export interface AbortOptions {
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
}

export const abortOptions: OptionNames<AbortOptions> = { signal: checkSignal }

/**
 * Rejects unknown options, which are most likely misspelt, and reads each of the others once. Takes nanoseconds, because
 * calls of a few microseconds have options too.
 *
 * @param options as the caller passed them
 * @param argument the name of the argument, for errors
 * @returns a copy: the caller can change the original as soon as the call has returned
 * @throws ArgumentError that names the nearest known option, or the option whose value is wrong
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

/** Makes the error for an unknown option; it names the nearest of `names`. */
export function unknownOption(argument: string, name: string, names: string[]): ArgumentError {
  const key = fold(name)
  const nearest = closestMatch(key, names.map(fold), { maxDistance: Math.ceil(key.length / 3) })
  const expected = names.find((known) => fold(known) === nearest) ?? `one of ${names.join(', ')}`
  return new ArgumentError(argument, expected, `the unknown option ${name}`)
}

/** Ignores case and separators: other libraries spell `maxTokens` as `max_tokens`. */
function fold(name: string): string {
  return name.replace(/[_-]/g, '').toLowerCase()
}

import { ArgumentError, copyArray, describe } from '../../errors.js'

/**
 * Which Linears to skip. An entry names one by its full name or by the end of it from a dot on, and `*` matches
 * anything: `lm_head`, `down_proj`, `model.layers.0.*`.
 */
export type Skip = readonly string[]

/** The head stays float32 unless asked for, as in the published W8A8 checkpoints. */
export const defaultSkip: Skip = ['lm_head']

/**
 * @param names of all Linears
 * @returns the entry that skips a name, or undefined
 * @throws ArgumentError for an entry that skips nothing: it is most likely misspelt
 */
export function skipMatcher(
  skip: Skip,
  names: readonly string[],
): (name: string) => string | undefined {
  const texts = copyArray('skip', skip, 'strings', (entry) => typeof entry === 'string')
  const entries = texts.map((entry) => ({ entry, pattern: toPattern(entry) }))
  for (const { entry, pattern } of entries) {
    if (!names.some((name) => pattern.test(name))) {
      throw new ArgumentError('skip', `names of Linears, such as ${names[0]}`, describe(entry))
    }
  }
  return (name) => entries.find(({ pattern }) => pattern.test(name))?.entry
}

function toPattern(entry: string): RegExp {
  const parts = entry.split('*')
  const escaped = parts.map((part) => part.replace(/[^\w]/g, '\\$&'))
  return new RegExp(`^(.*\\.)?${escaped.join('.*')}$`, 's')
}

import { FormatError } from '../../../errors.js'
import { Fields, isObject, show } from '../../json/fields.js'

const names = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'].map((kind) => `${kind}_token`)

/**
 * The spelling of each special token that a tokenizer_config.json names, e.g. `bos_token`.
 *
 * @param file named in errors
 * @param json the parsed file
 * @throws FormatError
 */
export function parseSpecialTokens(file: string, json: unknown): Record<string, string> {
  const { values } = new Fields(file, json)
  const tokens: Record<string, string> = {}
  for (const name of names) {
    const value = values[name] ?? undefined
    if (value === undefined) continue
    const spelling = isObject(value) ? value.content : value
    if (typeof spelling !== 'string') {
      throw new FormatError(file, `${name}: expected a token, got ${show(value)}`)
    }
    tokens[name] = spelling
  }
  return tokens
}

import { FormatError } from '../../errors.js'

/**
 * Parses a whole JSON file, more strictly than JSON.parse: the text must be valid UTF-8, and no object may repeat a
 * key, because parsers differ in which of the two values they keep.
 *
 * @param file named in errors
 * @param bytes the file's contents
 * @throws FormatError
 */
export function parseJson(file: string, bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    const repeated = repeatedKey(text)
    if (repeated !== undefined)
      throw new SyntaxError(`key ${JSON.stringify(repeated)} appears twice`)
    return value
  } catch (error) {
    throw new FormatError(file, `not valid JSON: ${(error as Error).message}`, { cause: error })
  }
}

/** JSON formatted for a file. */
export function formatJson(json: object): string {
  return `${JSON.stringify(json, null, 2)}\n`
}

/** The first key that some object of the valid JSON `text` repeats. */
function repeatedKey(text: string): string | undefined {
  const enclosing: Set<string>[] = [] // the keys of each object around position i
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '{') enclosing.push(new Set())
    else if (text[i] === '}') enclosing.pop()
    else if (text[i] === '"') {
      const start = i
      i = closingQuote(text, i)
      if (!followedByColon(text, i)) continue
      const key: string = JSON.parse(text.slice(start, i + 1))
      const keys = enclosing.at(-1) as Set<string>
      if (keys.has(key)) return key
      keys.add(key)
    }
  }
  return undefined
}

function closingQuote(text: string, opening: number): number {
  for (let i = opening + 1; ; i++) {
    if (text[i] === '"') return i
    if (text[i] === '\\') i++
  }
}

function followedByColon(text: string, quote: number): boolean {
  let i = quote + 1
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  return text[i] === ':'
}

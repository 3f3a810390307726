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

/**
 * The first key that some object of the valid JSON `text` repeats. Searches by functions of the engine, for a loop over
 * all characters takes longer than JSON.parse.
 */
function repeatedKey(text: string): string | undefined {
  const enclosing: Set<string>[] = [] // the keys of each object around the position
  const structural = /["{}]/g
  while (structural.test(text)) {
    const start = structural.lastIndex - 1
    if (text[start] === '{') enclosing.push(new Set())
    else if (text[start] === '}') enclosing.pop()
    else {
      const end = closingQuote(text, start) + 1
      structural.lastIndex = end
      if (!isKey(text, end)) continue
      const key = unquoted(text.slice(start, end))
      const keys = enclosing.at(-1) as Set<string>
      if (keys.has(key)) return key
      keys.add(key)
    }
  }
  return undefined
}

function closingQuote(text: string, opening: number): number {
  for (let end = opening; ; ) {
    end = text.indexOf('"', end + 1)
    let unescaped = end
    while (text[unescaped - 1] === '\\') unescaped--
    if ((end - unescaped) % 2 === 0) return end
  }
}

/** Whether a string that ends there is followed by a colon. */
function isKey(text: string, end: number): boolean {
  let i = end
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  return text[i] === ':'
}

function unquoted(string: string): string {
  return string.includes('\\') ? JSON.parse(string) : string.slice(1, -1)
}

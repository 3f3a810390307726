/** A line of a file, and where it lies. */
export interface InputLine {
  /** From 1. */
  readonly number: number
  /** Where it begins, bytes. */
  readonly offset: number
  /** Without its end. */
  readonly bytes: number
  /** Undefined where there is a problem. */
  readonly text: string | undefined
  /** Why it cannot be read. */
  readonly problem?: string
}

const NEWLINE = 0x0a

/** Reads a file line by line, without those that are blank. Holds one line of at most `maxBytes` at a time. */
export async function* readLines(
  content: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<InputLine, void, void> {
  let number = 1
  let offset = 0
  let bytes = 0
  let parts: Uint8Array[] = []
  const take = (part: Uint8Array) => {
    bytes += part.length
    // a longer one is counted, but not kept
    if (bytes <= maxBytes) parts.push(part)
  }
  const end = () => {
    const line = { number, offset, bytes, ...decode(parts, bytes, maxBytes) }
    number++
    offset += bytes + 1
    bytes = 0
    parts = []
    return line
  }
  for await (const chunk of content) {
    let start = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, at))
      start = at + 1
      const line = end()
      if (!isBlank(line)) yield line
    }
    take(chunk.subarray(start))
  }
  const last = end()
  if (!isBlank(last)) yield last
}

function decode(
  parts: readonly Uint8Array[],
  bytes: number,
  maxBytes: number,
): Pick<InputLine, 'text' | 'problem'> {
  if (bytes > maxBytes) {
    return { text: undefined, problem: `The line has ${bytes} bytes; ${maxBytes} are the most.` }
  }
  try {
    // which leaves a byte order mark out
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)) }
  } catch {
    return { text: undefined, problem: 'The line is not UTF-8.' }
  }
}

function isBlank({ text }: InputLine): boolean {
  return text?.trim() === ''
}

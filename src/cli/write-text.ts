import type { Stopwatch } from './stopwatch.js'

/**
 * Writes text to stdout as it comes, and ends its line. The signal ends it early.
 *
 * @param stopwatch is called for every piece
 * @returns the text
 */
export async function writeText(
  pieces: AsyncIterable<string>,
  stopwatch: Stopwatch,
  signal: AbortSignal,
): Promise<string> {
  let text = ''
  let refused = false
  try {
    for await (const piece of pieces) {
      stopwatch.lap()
      process.stdout.write(piece)
      text += piece
    }
  } catch (error) {
    refused = text === '' && !signal.aborted
    if (!signal.aborted) throw error
  } finally {
    // a refused prompt leaves no line
    if (!refused) process.stdout.write('\n')
  }
  return text
}

import type { GenerationResult, TokenLogprobs } from 'dotpool'
import type { ServedGeneration } from '../models/served-model.js'

/** More of one choice of an answer. */
export interface ChoicePart {
  readonly index: number
  /** Whole code points, maybe none. */
  readonly text: string
  readonly tokens: readonly number[]
  readonly logprobs: readonly TokenLogprobs[]
  /** With the last part. */
  readonly result?: GenerationResult
}

/** Reads choices as they come. All end where one fails, or the reader leaves. */
export function readChoices(
  runs: readonly ServedGeneration[],
): AsyncGenerator<ChoicePart, void, void> {
  return runs.length === 1 ? readChoice(runs[0], 0) : readByTurns(runs)
}

async function* readByTurns(
  runs: readonly ServedGeneration[],
): AsyncGenerator<ChoicePart, void, void> {
  const readers = runs.map(readChoice)
  const pending = new Map(readers.map((reader, i) => [i, next(reader, i)]))
  try {
    while (pending.size > 0) {
      const { i, part } = await Promise.race(pending.values())
      if (part === undefined) pending.delete(i)
      else {
        yield part
        pending.set(i, next(readers[i], i))
      }
    }
  } finally {
    // one that waits for a token would only end with it
    for (const run of runs) void run.return()
    await Promise.allSettled(pending.values())
  }
}

async function next(
  reader: AsyncGenerator<ChoicePart, void, void>,
  i: number,
): Promise<{ i: number; part: ChoicePart | undefined }> {
  const { done, value } = await reader.next()
  return { i, part: done ? undefined : value }
}

async function* readChoice(
  run: ServedGeneration,
  index: number,
): AsyncGenerator<ChoicePart, void, void> {
  for await (const { text, tokens, logprobs = [] } of run.chunks()) {
    yield { index, text, tokens, logprobs }
  }
  yield { index, text: '', tokens: [], logprobs: [], result: await run.result }
}

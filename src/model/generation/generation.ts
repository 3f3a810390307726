import type { GenerationChunk, GenerationResult, Run } from './run.js'

/** A text that is generated while it is read. It begins when it is first read, or its result is asked for. */
export class Generation implements AsyncGenerator<string, void, void> {
  readonly #run: Run

  /** @internal */
  constructor(run: Run) {
    this.#run = run
    abandoned.register(this, run, this)
  }

  /**
   * What the text has come to. Where a signal has ended it, that is what there was until then; errors reject. Once
   * this is asked for, the text is generated to its end whether it is read or not.
   */
  get result(): Promise<GenerationResult> {
    abandoned.unregister(this)
    return this.#run.finish()
  }

  /** The next piece of the text: whole code points, at least one. */
  async next(): Promise<IteratorResult<string, void>> {
    for (;;) {
      const chunk = await this.#run.read()
      if (chunk === undefined) return { done: true, value: undefined }
      if (chunk.text !== '') return { done: false, value: chunk.text }
    }
  }

  /** The text token by token: instead of iterating over the run itself. */
  chunks(): AsyncGenerator<GenerationChunk, void, void> {
    abandoned.unregister(this)
    return chunksOf(this.#run)
  }

  /** Ends the text: nothing more is computed for it. */
  async return(): Promise<IteratorResult<string, void>> {
    this.#run.cancel()
    return { done: true, value: undefined }
  }

  async throw(error: unknown): Promise<IteratorResult<string, void>> {
    this.#run.cancel()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#run.cancel()
  }
}

/** Ends texts that nobody can read on, though they were not ended. */
const abandoned = new FinalizationRegistry<Run>((run) => run.cancel())

/** The chunks of a run, which ends where they are not read to the end. */
function chunksOf(run: Run): AsyncGenerator<GenerationChunk, void, void> {
  const chunks = readChunks(run)
  abandoned.register(chunks, run)
  return chunks
}

async function* readChunks(run: Run): AsyncGenerator<GenerationChunk, void, void> {
  try {
    for (;;) {
      const chunk = await run.read()
      if (chunk === undefined) return
      yield chunk
    }
  } finally {
    run.cancel()
  }
}

/** The tokens of a run, which ends where they are not read to the end. */
export function tokensOf(run: Run): AsyncGenerator<number, void, void> {
  const tokens = readTokens(run)
  abandoned.register(tokens, run)
  return tokens
}

async function* readTokens(run: Run): AsyncGenerator<number, void, void> {
  try {
    for (;;) {
      const chunk = await run.read()
      if (chunk === undefined) return
      for (const token of chunk.tokens) yield token
    }
  } finally {
    run.cancel()
  }
}

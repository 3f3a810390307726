import type { Batch, BatchError } from '../schemas/batches.js'
import { readLines } from './input-lines.js'
import { type BatchLine, LineError, LineReader } from './line.js'
import type { FileStore } from './store.js'

/** As OpenAI's API has it. */
const MOST_LINES = 50_000

/** Errors that a batch tells of its input. */
const MOST_ERRORS = 100

/** A line holds more than the body of its request: at most so many bytes. */
const AROUND_BODY = 1 << 16

/** What reads the input of batches. */
export class InputReader {
  readonly #files: FileStore
  readonly #bodyLimit: number
  readonly #nameOf: (model: string | null | undefined) => string

  /**
   * @param bodyLimit the largest body of a request, bytes
   * @param nameOf the name of a model that is asked for; throws an ApiError where there is none
   */
  constructor(
    files: FileStore,
    bodyLimit: number,
    nameOf: (model: string | null | undefined) => string,
  ) {
    this.#files = files
    this.#bodyLimit = bodyLimit
    this.#nameOf = nameOf
  }

  /** Tells how many lines a batch has, and what is wrong with them. */
  async validate(batch: Batch): Promise<{ total: number; errors: BatchError[] }> {
    const reader = new LineReader(batch.endpoint, this.#nameOf)
    const errors: BatchError[] = []
    const fail = (code: string, message: string) => {
      errors.push({ code, message, param: null, line: null })
    }
    let total = 0
    for await (const line of this.#read(batch)) {
      if (++total > MOST_LINES) {
        fail('too_many_tasks', `The file has more than ${MOST_LINES} lines.`)
        break
      }
      if (errors.length >= MOST_ERRORS) break
      try {
        reader.read(line)
      } catch (error) {
        if (!(error instanceof LineError)) throw error
        errors.push(error.error)
      }
    }
    if (total === 0) fail('empty_file', 'The file has no lines.')
    return { total, errors }
  }

  /** The lines of a batch that is valid. */
  async *lines(batch: Batch): AsyncGenerator<BatchLine, void, void> {
    // a model that was there when the batch was validated may have gone: its lines wait for it
    const reader = new LineReader(batch.endpoint, (model) => model ?? this.#nameOf(model))
    for await (const line of this.#read(batch)) yield reader.read(line)
  }

  #read(batch: Batch) {
    return readLines(this.#files.read(batch.input_file_id), this.#bodyLimit + AROUND_BODY)
  }
}

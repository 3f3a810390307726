/** Where a fleet's batches lie in NATS: streams, buckets and subjects, all by the fleet's prefix. */
export class Places {
  readonly #prefix: string

  /** @param prefix of the fleet: letters, digits, `-` and `_` */
  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** The object store of files. */
  get files(): string {
    return `${this.#prefix}-files`
  }

  /** The object store of requests and results that are too large for a message. */
  get large(): string {
    return `${this.#prefix}-batch-large`
  }

  /** The bucket of batches, and of how far each is queued. */
  get batches(): string {
    return `${this.#prefix}-batches`
  }

  /** The bucket of who drives a batch. */
  get holds(): string {
    return `${this.#prefix}-batch-holds`
  }

  /** The work queue of lines. */
  get lines(): string {
    return `${this.#prefix}-batch-lines`
  }

  /** The stream of results. */
  get results(): string {
    return `${this.#prefix}-batch-results`
  }

  /** A line that asks a model. @param line `*` for all; @param batchId `*` for all */
  line(model: string, batchId: string, line: number | '*'): string {
    return `${this.#prefix}.batch.line.${model}.${batchId}.${line}`
  }

  /** @param line `*` for all; @param batchId `*` for all */
  result(batchId: string, line: number | '*'): string {
    return `${this.#prefix}.batch.result.${batchId}.${line}`
  }

  /** Told to those that run lines of it. @param batchId `*` for all */
  withdrawn(batchId: string): string {
    return `${this.#prefix}.batch.withdrawn.${batchId}`
  }
}

/** The name of a model as a word of a subject, and of a consumer. */
export function toWord(model: string): string {
  return Buffer.from(model).toString('base64url')
}

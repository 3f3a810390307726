import type { Send } from './load.js'

/** A runtime behind `POST /v1/completions`. */
export interface Server {
  readonly version: string
  /**
   * Loads a model, and listens.
   *
   * @param path of the model
   * @param sequences that run at once, of `length` tokens each
   * @returns its address
   */
  listen(path: string, threads: number, sequences: number, length: number): Promise<string>
  /** Sends a request without HTTP, where this runtime is a library for Node.js that answers many at once. */
  readonly send?: Send
}

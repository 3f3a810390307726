import type { CachedModel } from '../../../dist/bench/models/cache.js'

/** Somebody who runs whole models. */
export interface Contender {
  readonly name: string
  readonly version: string
  /** The file with the weights that it reads. */
  weights(model: CachedModel): string
  /** Makes ready to load models, and to run them with so many threads. */
  start(threads: number): Promise<Loader>
}

export interface Loader {
  load(model: CachedModel): Promise<LoadedModel>
}

export interface LoadedModel {
  /** Makes room for sequences of so many ids each. */
  open(sequences: number, length: number): Promise<Session>
}

/** Sequences that grow side by side, by the id that the model finds likeliest, also where it ends a text. */
export interface Session {
  /**
   * Reads prompts, one for each sequence, which forget what they held.
   *
   * @returns the next id of each
   */
  read(prompts: readonly number[][]): Promise<number[]>
  /**
   * Lets every sequence read its last id.
   *
   * @returns the next id of each
   */
  step(): Promise<number[]>
  close(): Promise<void>
}

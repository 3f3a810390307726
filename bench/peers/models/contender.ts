import type { Bits } from '../../../dist/bench/models/bits.js'
import type { Format } from '../../../dist/bench/models/cache.js'

/** Where the model to run is, in the formats that it has. */
export type ModelFiles = Readonly<Partial<Record<Format, string>>>

/** A runtime that runs whole models. */
export interface Contender {
  readonly name: string
  readonly version: string
  /** Of each of the head's weights, as dotpool holds them; 8 by default. */
  readonly headBits?: Bits
  /** The file with the weights that it reads. */
  weights(model: ModelFiles): string
  /** Prepares to load models, and to run them with this many threads. */
  start(threads: number): Promise<Loader>
}

/** @throws Error unless it has that format */
export function pathOf(model: ModelFiles, format: Format): string {
  const path = model[format]
  if (path === undefined) throw new Error(`the model is not there in ${format}`)
  return path
}

export interface Loader {
  load(model: ModelFiles): Promise<LoadedModel>
}

export interface LoadedModel {
  /** Makes room for sequences of `length` tokens each. */
  open(sequences: number, length: number): Promise<Session>
}

/** Sequences decoded together, greedily, ignoring end-of-sequence tokens. */
export interface Session {
  /**
   * Prefills prompts, one for each sequence, which drop their earlier tokens.
   *
   * @returns the next token of each
   */
  prefill(prompts: readonly number[][]): Promise<number[]>
  /**
   * Decodes some tokens of every sequence, a step for each.
   *
   * @returns when each step was done, by `performance.now()`
   */
  decode(steps: number): Promise<number[]>
  close(): Promise<void>
}

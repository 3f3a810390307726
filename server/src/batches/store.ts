import type { Batch } from '../schemas/batches.js'
import type { StoredFile } from '../schemas/files.js'
import type { BatchLine } from './line.js'
import type { LineResult } from './result.js'

/**
 * Where files, batches, the lines that wait and the results are kept: a folder, or NATS. What runs the batches is the
 * same for both. Whatever dies at any moment, what was kept is there again, and what was in flight is run again.
 */
export interface BatchStore extends AsyncDisposable {
  readonly files: FileStore
  readonly batches: BatchTable
  readonly queue: LineQueue
  readonly results: ResultStore
  /** Waits until nobody else drives the batch. @throws the signal's reason */
  hold(batchId: string, signal: AbortSignal): Promise<Hold>
}

/** The right to drive a batch. */
export interface Hold extends AsyncDisposable {
  /** Aborts where somebody else may have it now. */
  readonly signal: AbortSignal
}

export interface FileStore {
  /** Keeps a file as a whole or, where its content fails, not at all. Replaces one of the same id. */
  put(file: Omit<StoredFile, 'bytes'>, content: AsyncIterable<Uint8Array>): Promise<StoredFile>
  get(id: string): Promise<StoredFile | undefined>
  /** In any order. */
  list(): Promise<StoredFile[]>
  /** @throws NoFileError */
  read(id: string): AsyncIterable<Uint8Array>
  /** Does nothing where there is no such file. */
  delete(id: string): Promise<void>
}

/** There is no file of this id any more. */
export class NoFileError extends Error {
  constructor(id: string) {
    super(`there is no file ${id}`)
    this.name = 'NoFileError'
  }
}

export interface BatchTable {
  create(batch: Batch): Promise<void>
  get(id: string): Promise<Batch | undefined>
  /** In any order. */
  list(): Promise<Batch[]>
  /**
   * Changes a batch, if nobody else has meanwhile; else tries again.
   *
   * @param change what it is to become; undefined leaves it
   * @returns what it is now; undefined where there is none
   */
  update(id: string, change: (batch: Batch) => Batch | undefined): Promise<Batch | undefined>
  /** All batches, then those that anybody makes or changes. @throws the signal's reason */
  changes(signal: AbortSignal): AsyncIterable<Batch>
}

export interface LineQueue {
  /** Queues the lines of a batch; those that have a result or, if it can be known, were queued before, are not again. */
  add(batch: Batch, lines: AsyncIterable<BatchLine>): Promise<void>
  /** Waits for a line that asks this model, the oldest first. @throws the signal's reason */
  take(model: string, signal: AbortSignal): Promise<LineTask>
  /** Withdraws the lines of a batch; what runs one is told. */
  withdraw(batchId: string): Promise<void>
}

/** A line that was taken: nobody else runs it, until it is finished or released. */
export interface LineTask {
  readonly batchId: string
  readonly line: BatchLine
  /** Aborts where the line was withdrawn. */
  readonly signal: AbortSignal
  /** Keeps its result, unless there is one already. It may be called again where it fails. */
  finish(result: LineResult): Promise<void>
  /** Gives it back, to be run again. */
  release(): Promise<void>
}

/** That a line has a result. */
export interface LineOutcome {
  /** Its number in the input file, from 1. */
  readonly line: number
  readonly isSuccess: boolean
}

export interface ResultStore {
  /** The results that a batch has, then those that come. @throws the signal's reason */
  watch(batchId: string, signal: AbortSignal): AsyncIterable<LineOutcome>
  get(batchId: string, line: number): Promise<LineResult | undefined>
  /** Deletes the results of a batch, and what is known of its lines. */
  delete(batchId: string): Promise<void>
}

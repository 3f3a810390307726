import type { Checkpoint } from './checkpoint.js'
import type { ReadOptions } from './tensor-file.js'

/** Reads tensors of a checkpoint one by one and reports the progress over all of them. */
export class TensorReader {
  readonly checkpoint: Checkpoint
  readonly signal: AbortSignal | undefined
  readonly #onProgress: ReadOptions['onProgress']
  readonly #total: number
  #done = 0

  /**
   * @param names of all tensors that will be read
   * @param options `onProgress` counts their bytes in the file
   * @throws FormatError if one is missing
   */
  constructor(checkpoint: Checkpoint, names: readonly string[], options: ReadOptions) {
    this.checkpoint = checkpoint
    this.signal = options.signal
    this.#onProgress = options.onProgress
    this.#total = names.reduce((bytes, name) => bytes + checkpoint.entry(name).byteLength, 0)
  }

  /** See {@link Checkpoint.readRows}. The tensor must be of shape `dims`. */
  async readRows(
    name: string,
    dims: readonly [number, number],
    first: number,
    last: number,
    into: Uint8Array,
  ): Promise<void> {
    this.checkpoint.checkShape(name, dims)
    await this.checkpoint.readRows(name, first, last, into, this.signal)
    this.#count(into.byteLength)
  }

  /** See {@link Checkpoint.readFloat}. */
  async readFloat(name: string, dims: readonly number[]): Promise<Float32Array> {
    let counted = 0
    const onProgress = (done: number) => {
      this.#count(done - counted)
      counted = done
    }
    return await this.checkpoint.readFloat(name, dims, { signal: this.signal, onProgress })
  }

  /** Tensors may be read concurrently. */
  #count(bytes: number): void {
    this.#done += bytes
    this.#onProgress?.(this.#done, this.#total)
  }
}

import { FormatError } from '../../errors.js'
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

  /** See {@link Checkpoint.readBlocks}. The matrix must be of shape `dims`. */
  async readBlocks(
    name: string,
    dims: readonly [number, number],
    first: number,
    last: number,
  ): Promise<Uint8Array> {
    this.checkpoint.checkShape(name, dims)
    this.signal?.throwIfAborted()
    const blocks = await this.checkpoint.readBlocks(name, first, last)
    this.#count((this.checkpoint.entry(name).byteLength / dims[0]) * (last - first))
    return blocks
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

  /**
   * Reads a whole tensor as the file stores it.
   *
   * @throws FormatError unless it is of one of the dtypes, and of shape `dims`
   */
  async readStored(
    name: string,
    dtypes: readonly string[],
    dims: readonly number[],
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.checkDtype(name, dtypes)
    this.checkpoint.checkShape(name, dims)
    const bytes = new Uint8Array(this.checkpoint.entry(name).byteLength)
    let read = 0
    for await (const piece of this.checkpoint.chunks(name, this.signal)) {
      bytes.set(piece, read)
      read += piece.byteLength
      this.#count(piece.byteLength)
    }
    return bytes
  }

  /** @throws FormatError unless the tensor is of one of the dtypes */
  checkDtype(name: string, dtypes: readonly string[]): void {
    const dtype = this.checkpoint.dtype(name)
    if (dtypes.includes(dtype)) return
    const problem = `tensor ${name}: dtype ${dtype} is not supported, only ${dtypes.join(', ')}`
    throw new FormatError(this.checkpoint.fileOf(name), problem)
  }

  /** Tensors may be read concurrently. */
  #count(bytes: number): void {
    this.#done += bytes
    this.#onProgress?.(this.#done, this.#total)
  }
}

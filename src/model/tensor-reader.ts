import { FormatError } from '../errors.js'
import type { Tensor } from '../tensor.js'
import type { Checkpoint } from './checkpoint.js'
import type { ReadOptions } from './safetensors.js'
import { widenBf16 } from './widen.js'

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

  /** See {@link Checkpoint.read}. */
  async read(name: string, dims: readonly number[]): Promise<Tensor> {
    const before = this.#done
    const tensor = await this.checkpoint.read(name, dims, {
      signal: this.signal,
      onProgress: (done) => this.#onProgress?.(before + done, this.#total),
    })
    this.#done += tensor.data.byteLength
    return tensor
  }

  /**
   * Reads a float tensor as float32, whichever width the file has.
   *
   * @throws FormatError as {@link read}, or if its dtype is neither F32 nor BF16
   */
  async readFloat(name: string, dims: readonly number[]): Promise<Float32Array> {
    const { data } = await this.read(name, dims)
    if (data instanceof Float32Array) return data
    if (data instanceof Uint16Array) return await widenBf16(data, this.signal)
    const { dtype } = this.checkpoint.entry(name)
    throw new FormatError(this.checkpoint.file, `tensor ${name}: ${dtype} is neither F32 nor BF16`)
  }
}

import type { EmbedOptions } from 'dotpool'
import { decodeVector, encodeTokens, type TellMessage } from '../messages.js'
import { RemoteWork, type WorkParts } from './remote-work.js'

/** Texts that a fleet embeds. */
export class RemoteEmbedding extends RemoteWork {
  protected readonly ask = 'embed'
  protected readonly message: object
  protected readonly othersHaveBegun = false
  #settle!: { resolve(vectors: Float32Array[]): void; reject(error: unknown): void }
  readonly #vectors: Promise<Float32Array[]>

  constructor(
    parts: WorkParts,
    texts: readonly ArrayLike<number>[],
    { dimensions, signal }: EmbedOptions,
  ) {
    const promptTokens = texts.reduce((sum, { length }) => sum + length, 0)
    super(parts, { hashes: [], promptTokens }, signal)
    this.message = {
      texts: texts.map(encodeTokens),
      ...(dimensions !== undefined && { dimensions }),
    }
    this.#vectors = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** A vector for each text. */
  async vectors(): Promise<Float32Array[]> {
    this.begin()
    return await this.#vectors
  }

  protected take({ vectors }: TellMessage): boolean {
    if (vectors === undefined) return false
    this.#settle.resolve(vectors.map(decodeVector))
    return true
  }

  protected fail(error: unknown): void {
    this.#settle.reject(error)
  }

  protected abort(reason: unknown): void {
    this.#settle.reject(reason)
    this.end()
  }
}

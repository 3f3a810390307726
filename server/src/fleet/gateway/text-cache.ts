import { Texts } from 'dotpool'
import { unpackTexts } from '../texts.js'
import type { Blobs } from '../transport/transport.js'

/** Texts that are kept though no worker announces them: a model may come back. */
const MAX_UNUSED = 4

/** The tokenizers and chat templates of models that workers run, fetched once for each digest. */
export class TextCache {
  readonly #blobs: Blobs
  /** What was asked for least recently comes first. */
  readonly #texts = new Map<string, Promise<Texts>>()

  constructor(blobs: Blobs) {
    this.#blobs = blobs
  }

  /** @throws why they cannot be had; the next call tries again */
  get(digest: string): Promise<Texts> {
    const opening = this.#texts.get(digest) ?? this.#open(digest)
    this.#texts.delete(digest)
    this.#texts.set(digest, opening)
    opening.catch(() => this.#texts.delete(digest))
    return opening
  }

  /** Closes some of those that nobody needs. @param digests that are needed; @returns those that were closed */
  keep(digests: ReadonlySet<string>): string[] {
    const unused = [...this.#texts.keys()].filter((digest) => !digests.has(digest))
    const closed = unused.slice(0, -MAX_UNUSED)
    for (const digest of closed) this.#close(digest)
    return closed
  }

  close(): void {
    for (const digest of this.#texts.keys()) this.#close(digest)
  }

  async #open(digest: string): Promise<Texts> {
    const bytes = await this.#blobs.get(digest)
    if (bytes === undefined) throw new Error(`the fleet has no texts ${digest}`)
    return await Texts.fromFiles(await unpackTexts({ digest, bytes }))
  }

  #close(digest: string): void {
    const opening = this.#texts.get(digest)
    this.#texts.delete(digest)
    opening?.then((texts) => texts.close()).catch(() => {})
  }
}

/** What each token stands for, in a form that threads hand over without a copy. */
export interface TokenTableData {
  /** UTF-8 bytes of all tokens, in the order of their ids. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Where those of each token end. */
  readonly ends: Uint32Array<ArrayBuffer>
  /** A text loses its first space, which the normalizer had put there. */
  readonly dropsFirstSpace: boolean
  /** See {@link TokenTable.leastTokens}; Infinity where there is no such bound. */
  readonly unitsPerToken: number
}

const nothing = new Uint8Array(0)

/** The bytes of a vocabulary. */
export class TokenTable {
  readonly data: TokenTableData

  constructor(data: TokenTableData) {
    this.data = data
  }

  get dropsFirstSpace(): boolean {
    return this.data.dropsFirstSpace
  }

  /** The bytes of a token; none for one that stands for no text, or that there is not. */
  bytesOf(id: number): Uint8Array {
    const { bytes, ends } = this.data
    const end = ends[id]
    return end === undefined ? nothing : bytes.subarray(id === 0 ? 0 : ends[id - 1], end)
  }

  /** A bound from the length of a text alone: it has no fewer tokens. */
  leastTokens(text: string): number {
    return Math.floor(text.length / this.data.unitsPerToken)
  }
}

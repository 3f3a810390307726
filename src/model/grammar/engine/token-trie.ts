import { TokenTable, type TokenTableData } from '../../text/token-table.js'
import { plainBytes, type State } from './machine.js'

/**
 * The tokens of a vocabulary, in the order of their bytes, as a tree: a node for each beginning that tokens share.
 * Nodes lie in the order in which a walk meets them.
 */
export class TokenTrie {
  /** uint32 words of a mask. */
  readonly words: number
  readonly #endTokens: readonly number[]
  /** Token ids in the order of their nodes. */
  readonly #tokens: Uint32Array
  /** Of each node: how many tokens come before it, and its byte, which follows so many others. */
  readonly #firsts: Uint32Array
  readonly #bytes: Uint8Array
  readonly #depths: Uint16Array
  /** Where the nodes end that begin as it does. */
  readonly #ends: Uint32Array
  /** The most bytes of these from its own on, if all are plain; or else 255. */
  readonly #plainBytes: Uint8Array

  /**
   * @param vocabSize ids that can be sampled
   * @param endTokens that end a text, and are no part of one
   */
  constructor(data: TokenTableData, vocabSize: number, endTokens: readonly number[]) {
    const { spellings, ids } = sortTokens(data, vocabSize, endTokens)
    const size = spellings.reduce((sum, spelling) => sum + spelling.length, 0)
    const [firsts, ends] = [new Uint32Array(size + 1), new Uint32Array(size)]
    const [bytes, depths] = [new Uint8Array(size), new Uint16Array(size)]
    let count = 0
    const open: number[] = []
    let last = ''
    for (const [i, spelling] of spellings.entries()) {
      let shared = 0
      while (shared < last.length && spelling[shared] === last[shared]) shared++
      for (const node of open.splice(shared)) ends[node] = count
      for (let depth = shared; depth < spelling.length; depth++) {
        open.push(count)
        firsts[count] = i
        bytes[count] = spelling.charCodeAt(depth)
        depths[count++] = depth
      }
      last = spelling
    }
    for (const node of open) ends[node] = count
    firsts[count] = ids.length
    this.words = Math.ceil(vocabSize / 32)
    this.#endTokens = endTokens
    this.#tokens = ids
    this.#firsts = firsts.slice(0, count + 1)
    this.#bytes = bytes.slice(0, count)
    this.#depths = depths.slice(0, count)
    this.#ends = ends.slice(0, count)
    this.#plainBytes = countPlain(this.#bytes, this.#ends)
  }

  /** Bits of the tokens that may follow: such as keep a text that the grammar admits within reach. */
  mask(start: State): Uint32Array {
    const mask = new Uint32Array(this.words)
    const allow = (token: number) => {
      mask[token >> 5] |= 1 << (token & 31)
    }
    if (start.isComplete) this.#endTokens.forEach(allow)
    const path = [start]
    for (let node = 0; node < this.#bytes.length; ) {
      const depth = this.#depths[node]
      const state = path[depth]
      const isFree = this.#plainBytes[node] <= state.plainBytes
      const end = this.#ends[node]
      const target = isFree ? state : state.step(this.#bytes[node])
      const next = isFree || target === null ? end : node + 1
      if (target !== null) {
        path[depth + 1] = target
        const last = this.#firsts[next]
        for (let i = this.#firsts[node]; i < last; i++) allow(this.#tokens[i])
      }
      node = next
    }
    return mask
  }
}

/** Of each node the most bytes from its own on, if all of them are plain; or else 255. */
function countPlain(bytes: Uint8Array, ends: Uint32Array): Uint8Array {
  const counts = new Uint8Array(bytes.length)
  for (let node = bytes.length - 1; node >= 0; node--) {
    let most = plainBytes.includes(bytes[node]) ? 1 : 255
    for (let child = node + 1; child < ends[node]; child = ends[child]) {
      most = Math.max(most, Math.min(counts[child] + 1, 255))
    }
    counts[node] = most
  }
  return counts
}

/** Spelled with a character for each byte, which sorts as bytes do. Tokens without bytes stand for no text. */
function sortTokens(
  data: TokenTableData,
  vocabSize: number,
  endTokens: readonly number[],
): { spellings: string[]; ids: Uint32Array } {
  const table = new TokenTable(data)
  const spelled: { spelling: string; id: number }[] = []
  for (let id = 0; id < Math.min(vocabSize, data.ends.length); id++) {
    const { buffer, byteOffset, byteLength } = table.bytesOf(id)
    if (byteLength === 0 || endTokens.includes(id)) continue
    spelled.push({ spelling: Buffer.from(buffer, byteOffset, byteLength).toString('latin1'), id })
  }
  spelled.sort((a, b) => (a.spelling < b.spelling ? -1 : a.spelling > b.spelling ? 1 : 0))
  return {
    spellings: spelled.map(({ spelling }) => spelling),
    ids: Uint32Array.from(spelled, ({ id }) => id),
  }
}

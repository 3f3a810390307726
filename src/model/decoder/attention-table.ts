import { type CacheType, pageBytes } from '../../layouts/kv-page.js'
import type { Pool } from '../../pool/pool.js'
import { NativeType } from '../../pool/program.js'
import { layerName } from '../config/parameters.js'
import type { Network } from './network.js'
import type { Workspace } from './workspace.js'

/** dp_attention, in 32-bit words. */
const WORDS = 28
const SPLIT = 7
const PART_PAGES = 26
const POSITIONS = 27
/** In 64-bit words. */
const PARTS = 12

/** What every layer's attention works with, where C reads it: dp_attention [layers]. */
export class AttentionTable {
  readonly #base: number
  readonly #words: Uint32Array
  /** The same memory by 64-bit words. */
  readonly #addresses: BigUint64Array

  constructor(
    pool: Pool,
    { config, norms }: Network,
    workspace: Workspace,
    rotations: Float32Array,
    cacheType: CacheType,
  ) {
    const layers = config.numHiddenLayers
    const bytes = pool.memory.bytes(layers * WORDS * 4)
    this.#base = pool.addressOf(bytes)
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, layers * WORDS)
    const floats = new Float32Array(bytes.buffer, bytes.byteOffset, layers * WORDS)
    this.#addresses = new BigUint64Array(bytes.buffer, bytes.byteOffset, (layers * WORDS) / 2)
    const addressOf = (view: ArrayBufferView | undefined) =>
      BigInt(view === undefined ? 0 : pool.addressOf(view))
    const { numAttentionHeads, numKeyValueHeads, headDim } = config
    for (let i = 0; i < layers; i++) {
      const name = `${layerName(i)}.self_attn`
      const at = i * WORDS
      const window = config.windows[i] ?? 0
      this.#words.set([numAttentionHeads, numKeyValueHeads, headDim, window], at)
      this.#words[at + 4] = NativeType[cacheType]
      this.#words[at + POSITIONS] = rotations.length / headDim
      floats.set([config.rmsNormEps, 1 / Math.sqrt(headDim)], at + 5)
      this.#addresses.set(
        [
          ...[workspace.q, workspace.k, workspace.v].map(addressOf),
          addressOf(norms.get(`${name}.q_norm`)),
          addressOf(norms.get(`${name}.k_norm`)),
          addressOf(rotations),
          BigInt(pageBytes(cacheType, headDim, numKeyValueHeads, i)),
          addressOf(workspace.attended),
        ],
        at / 2 + 4,
      )
    }
  }

  /** Where C finds a layer's. */
  address(layer: number): number {
    return this.#base + layer * WORDS * 4
  }

  /** Has attention write its parts, of so many pages a row, to memory at `parts`; 0: whole rows. */
  split(parts: number, pages: number): void {
    for (let at = 0; at < this.#words.length; at += WORDS) {
      this.#words[at + SPLIT] = parts === 0 ? 0 : 1
      this.#words[at + PART_PAGES] = pages
      this.#addresses[at / 2 + PARTS] = BigInt(parts)
    }
  }
}

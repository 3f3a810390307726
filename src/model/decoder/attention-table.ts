import { type CacheType, pageBytes } from '../../layouts/kv-page.js'
import { AttentionLayout as Layout, Type, writeAttention } from '../../native/layout.js'
import type { Pool } from '../../pool/pool.js'
import { layerName } from '../config/parameters.js'
import type { Network } from './network.js'
import type { Workspace } from './workspace.js'

const { words: WORDS } = Layout

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
    this.#addresses = new BigUint64Array(bytes.buffer, bytes.byteOffset, (layers * WORDS) / 2)
    const addressOf = (view: ArrayBufferView | undefined) =>
      view === undefined ? 0 : pool.addressOf(view)
    const { numAttentionHeads, numKeyValueHeads, headDim } = config
    for (let i = 0; i < layers; i++) {
      const name = `${layerName(i)}.self_attn`
      const at = i * WORDS
      writeAttention(this.#words, at, {
        queryHeads: numAttentionHeads,
        kvHeads: numKeyValueHeads,
        headDim,
        window: config.windows[i] ?? 0,
        cacheType: Type[cacheType],
        eps: config.rmsNormEps,
        scale: 1 / Math.sqrt(headDim),
        split: 0,
        q: pool.addressOf(workspace.q),
        k: pool.addressOf(workspace.k),
        v: pool.addressOf(workspace.v),
        qNorm: addressOf(norms.get(`${name}.q_norm`)),
        kNorm: addressOf(norms.get(`${name}.k_norm`)),
        rotation: pool.addressOf(rotations),
        pageOffset: pageBytes(cacheType, headDim, numKeyValueHeads, i),
        out: pool.addressOf(workspace.attended),
        parts: 0,
        partPages: 0,
        positions: rotations.length / headDim,
      })
    }
  }

  /** Where C finds a layer's. */
  address(layer: number): number {
    return this.#base + layer * WORDS * 4
  }

  /** Has attention write its parts, of so many pages a row, to memory at `parts`; 0: whole rows. */
  split(parts: number, pages: number): void {
    for (let at = 0; at < this.#words.length; at += WORDS) {
      this.#words[at + Layout.split] = parts === 0 ? 0 : 1
      this.#words[at + Layout.partPages] = pages
      this.#addresses[(at + Layout.parts) / 2] = BigInt(parts)
    }
  }
}

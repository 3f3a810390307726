import { type CacheType, pageBytes } from '../../layouts/kv-page.js'
import { AttentionLayout as Layout, Type, writeAttention } from '../../native/layout.js'
import type { AttentionLayer } from '../../native/op.js'
import type { Pool } from '../../pool/pool.js'
import { layerName } from '../config/parameters.js'
import type { Network } from './network.js'
import type { Workspace } from './workspace.js'

/** What every layer's attention works with, where C reads it: dp_attention [layers]. */
export class AttentionTable {
  readonly layers: readonly AttentionLayer[]

  constructor(
    pool: Pool,
    { config, norms }: Network,
    workspace: Workspace,
    rotation: Float32Array,
    cacheType: CacheType,
  ) {
    const bytes = pool.memory.bytes(config.numHiddenLayers * Layout.words * 4)
    const { numAttentionHeads: queryHeads, numKeyValueHeads: kvHeads, headDim } = config
    const { q, k, v, attended: out } = workspace
    const addressOf = (view: ArrayBufferView | undefined) =>
      view === undefined ? 0 : pool.addressOf(view)
    this.layers = Array.from({ length: config.numHiddenLayers }, (_, i) => {
      const name = `${layerName(i)}.self_attn`
      const [qNorm, kNorm] = [norms.get(`${name}.q_norm`), norms.get(`${name}.k_norm`)]
      const at = bytes.byteOffset + i * Layout.words * 4
      const words = new Uint32Array(bytes.buffer, at, Layout.words)
      const geometry = {
        queryHeads,
        kvHeads,
        headDim,
        window: config.windows[i] ?? 0,
        cacheType,
        pageOffset: pageBytes(cacheType, headDim, kvHeads, i),
        eps: Math.fround(config.rmsNormEps),
        scale: Math.fround(1 / Math.sqrt(headDim)),
      }
      writeAttention(words, 0, {
        ...geometry,
        cacheType: Type[cacheType],
        ...{ q: addressOf(q), k: addressOf(k), v: addressOf(v), out: addressOf(out) },
        ...{ qNorm: addressOf(qNorm), kNorm: addressOf(kNorm), rotation: addressOf(rotation) },
        ...{ split: 0, parts: 0, partPages: 0, positions: rotation.length / headDim },
      })
      return { words, geometry, q, k, v, qNorm, kNorm, rotation, out }
    })
  }

  /** Has attention write its parts, of so many pages a row, to memory at `parts`; 0: whole rows. */
  split(parts: number, pages: number): void {
    for (const { words } of this.layers) {
      words[Layout.split] = parts === 0 ? 0 : 1
      words[Layout.partPages] = pages
      words[Layout.parts] = parts
      words[Layout.parts + 1] = parts / 2 ** 32
    }
  }
}

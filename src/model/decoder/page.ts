import { OutOfMemoryError } from '../../errors.js'
import { type CacheType, PAGE, pageBytes } from '../../layouts/kv-page.js'
import type { Pool } from '../../pool/pool.js'
import type { ModelConfig } from '../config/config.js'

/** Keys and values of some consecutive positions, for all layers. Sequences that begin alike share it. */
export interface Page {
  readonly bytes: Uint8Array<SharedArrayBuffer>
  /** Where C finds it. */
  readonly address: number
  /** How many sequences hold it. */
  holders: number
}

/** The size of a page of a model, bytes. */
export function pageBytesOf(config: ModelConfig, cacheType: CacheType): number {
  const { numHiddenLayers, numKeyValueHeads, headDim } = config
  return pageBytes(cacheType, headDim, numKeyValueHeads, numHiddenLayers)
}

/** How many pages a KV cache of so many bytes has: at least those of one sequence of `maxContext` tokens. */
export function maxPagesOf(maxContext: number, kvBytes: number, pageBytes: number): number {
  return Math.max(Math.ceil(maxContext / PAGE), Math.floor(kvBytes / pageBytes))
}

/** The pages of one model: at most as many as its KV cache may have. */
export class PagePool {
  readonly pageBytes: number
  readonly maxPages: number
  readonly #pool: Pool
  /** Pages that no sequence holds. */
  readonly #free: Page[] = []
  #held = 0
  #releases = 0

  constructor(pool: Pool, pageBytes: number, maxPages: number) {
    this.#pool = pool
    this.pageBytes = pageBytes
    this.maxPages = maxPages
  }

  /** Pages that sequences hold. */
  get held(): number {
    return this.#held
  }

  /** How often a page has become free: whoever found none need not ask again before that changes. */
  get releases(): number {
    return this.#releases
  }

  /** A page with anything in it; undefined where the budget is spent, or the system has no more memory. */
  take(): Page | undefined {
    if (this.#held === this.maxPages) return undefined
    const page = this.#free.pop() ?? this.#make()
    if (page === undefined) return undefined
    page.holders = 1
    this.#held++
    return page
  }

  /** Releases a page that {@link take} gave or that was shared. */
  release(page: Page): void {
    page.holders--
    if (page.holders > 0) return
    this.#held--
    this.#releases++
    this.#free.push(page)
  }

  #make(): Page | undefined {
    try {
      const bytes = this.#pool.memory.bytes(this.pageBytes)
      return { bytes, address: this.#pool.addressOf(bytes), holders: 0 }
    } catch (error) {
      if (error instanceof OutOfMemoryError) return undefined
      throw error
    }
  }
}

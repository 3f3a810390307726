/** Items on their way to one reader, who waits where there are none. */
export class ChunkQueue<Item> {
  #items: Item[] = []
  #end: { readonly error?: unknown } | undefined
  #wake: (() => void) | undefined

  get size(): number {
    return this.#items.length
  }

  push(item: Item): void {
    if (this.#end !== undefined) return
    this.#items.push(item)
    this.#wake?.()
  }

  /** There are no more items. */
  end(): void {
    this.#end ??= {}
    this.#wake?.()
  }

  /** There are no more items: the reader gets those that there are, then the error. */
  fail(error: unknown): void {
    this.#end ??= { error }
    this.#wake?.()
  }

  /** Drops what was not read. */
  clear(): void {
    this.#items = []
  }

  /** The next item; undefined where there are no more. Rejects, once, with the error that has ended them. */
  async read(): Promise<Item | undefined> {
    while (this.#items.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const item = this.#items.shift()
    if (item !== undefined) return item
    const end = this.#end
    this.#end = {}
    if (end !== undefined && 'error' in end) throw end.error
    return undefined
  }
}

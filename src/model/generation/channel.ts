/** Items on their way from one that pushes them to one that reads, who waits where there are none. */
export class Channel<Item> {
  readonly #capacity: number
  readonly #onRoom: () => void
  readonly #items: Item[] = []
  #isBounded = true
  /** Set once there are no more items; with what {@link read} rejects, if anything. */
  #end: { error?: unknown } | undefined
  readonly #readers: (() => void)[] = []

  /**
   * @param capacity items that it takes before some are read
   * @param onRoom called where there is room again
   */
  constructor(capacity: number, onRoom: () => void) {
    this.#capacity = capacity
    this.#onRoom = onRoom
  }

  /** How many items it takes now. */
  get room(): number {
    return this.#isBounded ? this.#capacity - this.#items.length : Infinity
  }

  /** Takes any number of items from now on: there is somebody who needs the last one. */
  unbound(): void {
    this.#isBounded = false
    this.#onRoom()
  }

  push(item: Item): void {
    if (this.#end !== undefined) return
    this.#items.push(item)
    this.#notify()
  }

  /** There are no more items. */
  end(): void {
    this.#end ??= {}
    this.#notify()
  }

  /** There are no more items: who reads gets those that there are, then the error. */
  fail(error: unknown): void {
    this.#end ??= { error }
    this.#notify()
  }

  /** Drops what was not read. */
  clear(): void {
    this.#items.length = 0
  }

  /** The next item; undefined where there are no more. Rejects, once, with the error that has ended them. */
  async read(): Promise<Item | undefined> {
    while (this.#items.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#readers.push(resolve)
      })
    }
    const item = this.#items.shift()
    if (this.room === 1) this.#onRoom()
    if (item !== undefined) return item
    const end = this.#end
    this.#end = {}
    if (end !== undefined && 'error' in end) throw end.error
    return undefined
  }

  #notify(): void {
    for (const resolve of this.#readers.splice(0)) resolve()
  }
}

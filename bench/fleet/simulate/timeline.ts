/** What happens when, in the order of times; what is at the same time happens in the order in which it was added. */
export class Timeline {
  /** A binary heap. */
  readonly #times: number[] = []
  readonly #orders: number[] = []
  readonly #actions: (() => void)[] = []
  #count = 0
  /** Milliseconds. */
  now = 0

  /** Has something happen after so many milliseconds. */
  after(millis: number, action: () => void): void {
    this.#push(this.now + millis, this.#count++, action)
  }

  /** Lets everything happen up to a time, and what that brings about. */
  run(until: number): void {
    while (this.#times.length > 0 && this.#times[0] <= until) {
      this.now = this.#times[0]
      this.#pop()()
    }
    this.now = until
  }

  #push(time: number, order: number, action: () => void): void {
    let at = this.#times.length
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!this.#isBefore(time, order, above)) break
      this.#move(above, at)
      at = above
    }
    this.#set(at, time, order, action)
  }

  #pop(): () => void {
    const action = this.#actions[0]
    const last = this.#times.length - 1
    const [time, order, lastAction] = [this.#times[last], this.#orders[last], this.#actions[last]]
    this.#times.pop()
    this.#orders.pop()
    this.#actions.pop()
    if (last === 0) return action
    let at = 0
    for (let below = 1; below < last; below = 2 * at + 1) {
      if (
        below + 1 < last &&
        this.#isBefore(this.#times[below + 1], this.#orders[below + 1], below)
      )
        below++
      if (this.#isBefore(time, order, below)) break
      this.#move(below, at)
      at = below
    }
    this.#set(at, time, order, lastAction)
    return action
  }

  #isBefore(time: number, order: number, other: number): boolean {
    return time < this.#times[other] || (time === this.#times[other] && order < this.#orders[other])
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#times[from], this.#orders[from], this.#actions[from])
  }

  #set(at: number, time: number, order: number, action: () => void): void {
    this.#times[at] = time
    this.#orders[at] = order
    this.#actions[at] = action
  }
}

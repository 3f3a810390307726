import { existsSync, readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { collectGarbage } from '#src/native/collect-garbage.js'

/** Open files, sockets and pipes of this process; 0 where the system does not tell. */
export function countDescriptors() {
  const folder = '/proc/self/fd'
  return existsSync(folder) ? readdirSync(folder).length : 0
}

/** Resident memory between rounds, with all garbage collected. */
export class Memory {
  /** @type {number[]} */
  #samples = []

  /** Takes the least of a few: V8 frees buffers in a thread of its own, some time after it has collected them. */
  async sample() {
    let least = Infinity
    for (let i = 0; i < 3; i++) {
      collectGarbage()
      await setTimeout(5)
      least = Math.min(least, process.memoryUsage.rss())
    }
    this.#samples.push(least)
  }

  /** Mean of the first tenth of the samples, after as many that warm up; bytes. */
  get first() {
    return this.#mean(1)
  }

  /** Mean of the last tenth, bytes. */
  get last() {
    return this.#mean(9)
  }

  #mean(/** @type {number} */ tenth) {
    const { length } = this.#samples
    const part = this.#samples.slice(
      Math.floor((tenth * length) / 10),
      Math.ceil(((tenth + 1) * length) / 10),
    )
    return part.reduce((sum, bytes) => sum + bytes, 0) / part.length
  }
}

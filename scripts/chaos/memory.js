import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { open } from 'node:fs/promises'
import koffi from 'koffi'
import { loadWasm } from '#src/native/load.js'
import { measureKoffi, STACK_BYTES } from './koffi.js'
import { prepareMallocBytes } from './malloc.js'
import { settle } from './settle.js'

/** @typedef {{ resident: number, koffi: number, held: number, buffers: number }} Sample all in bytes */
/** @typedef {{ first: Sample, middle: Sample, last: Sample }} Samples means of the first, the fifth and the last tenth */

/** What this process has open: files, sockets, pipes; nothing where the system does not tell. */
export function openDescriptors() {
  const folder = '/proc/self/fd'
  const numbers = existsSync(folder) ? readdirSync(folder) : []
  return numbers.flatMap((number) => {
    try {
      return [readlinkSync(`${folder}/${number}`)]
    } catch {
      return [] // of the listing itself
    }
  })
}

/**
 * Memory between rounds, after garbage collection. Of the resident memory, malloc and WebAssembly hold some free blocks
 * that they do not return to the system, and koffi keeps some of each ended thread. The rest is held, and must not
 * grow. Nor must buffers, which include WebAssembly's memory as far as it is in use.
 */
export class Memory {
  /** @type {Sample[]} */
  #samples = []
  #mallocBytes
  #koffiBytes

  /**
   * @param {() => number} mallocBytes what malloc has handed out
   * @param {number} koffiBytes of that, what koffi keeps for each ended thread
   */
  constructor(mallocBytes, koffiBytes) {
    this.#mallocBytes = mallocBytes
    this.#koffiBytes = koffiBytes
  }

  /** Undefined where the system does not report all that is needed: only Linux with glibc does. */
  static async prepare() {
    const mallocBytes = prepareMallocBytes()
    if (mallocBytes === undefined) return undefined
    return new Memory(mallocBytes, await measureKoffi(mallocBytes))
  }

  async sample() {
    await settle()
    this.#samples.push(await this.#measure())
  }

  get length() {
    return this.#samples.length
  }

  /** @returns {Samples} */
  get tenths() {
    return { first: this.#mean(0), middle: this.#mean(4), last: this.#mean(9) }
  }

  /** @returns {Sample} */
  #mean(/** @type {number} */ tenth) {
    const { length } = this.#samples
    const [from, to] = [(tenth * length) / 10, ((tenth + 1) * length) / 10]
    const part = this.#samples.slice(Math.floor(from), Math.ceil(to))
    const mean = (/** @type {keyof Sample} */ key) =>
      part.reduce((sum, sample) => sum + sample[key], 0) / part.length
    return {
      resident: mean('resident'),
      koffi: mean('koffi'),
      held: mean('held'),
      buffers: mean('buffers'),
    }
  }

  /** @returns {Promise<Sample>} */
  async #measure() {
    const { arrayBuffers: buffers } = process.memoryUsage()
    const malloc = this.#mallocBytes()
    const wasm = addressOfWasm()
    const sum = { resident: 0, heap: 0, wasm: 0, stacks: 0 }
    let threads = 0
    for await (const { first, end, name, resident } of readMappings()) {
      sum.resident += resident
      if (name === '[heap]') sum.heap += resident
      else if (first <= wasm && wasm < end) sum.wasm += resident
      else if (end - first === STACK_BYTES) {
        sum.stacks += resident
        threads++
      }
    }
    const koffi = sum.stacks + threads * this.#koffiBytes
    const held = sum.resident - sum.heap + malloc - koffi - sum.wasm
    return { resident: sum.resident, koffi, held, buffers }
  }
}

/** The address of WebAssembly's memory; 0 where there is none. */
function addressOfWasm() {
  const handle = loadWasm()?.handle
  if (handle?.kind !== 'wasm') return 0
  return Number(koffi.address(new Uint8Array(handle.memory.buffer)))
}

/** The process's mappings, from /proc/self/smaps; read line by line, because that allocates no memory. */
async function* readMappings() {
  const file = await open('/proc/self/smaps')
  let [first, end, name] = [0, 0, '']
  for await (const line of file.readLines()) {
    const [head, , , , , path] = line.split(/ +/)
    if (/^[0-9a-f]+-/.test(head)) {
      ;[first, end] = head.split('-').map((address) => Number.parseInt(address, 16))
      name = path
    } else if (head === 'Rss:') {
      const resident = Number.parseInt(line.slice(head.length), 10) * 1024
      yield { first, end, name, resident }
    }
  }
}

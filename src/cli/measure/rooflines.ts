import os from 'node:os'
import type { Native } from '../../native/native.js'
import type { Pool } from '../../pool/pool.js'
import { OpKind, type Program } from '../../pool/program.js'

/*
 * The two bounds of a Linear, measured with all threads of a pool: how fast they read memory, which
 * bounds few rows, and how fast they multiply, which bounds many.
 */

/** One pass of DP_OP_READ runs over this much memory, unless it is most of what the machine has. */
const READ_BYTES = 1 << 30

/** The unit of DP_OP_READ, bytes. */
const READ_UNIT = 1 << 20

/** Units of DP_OP_PEAK per thread: 10 ms or more, next to which waking the workers is nothing. */
const PEAK_UNITS = 128

/** Of the uint64 that counts what was done. */
const COUNT_BYTES = 8

/** Work that a bound is measured by. */
interface Probe extends Program {
  /** What one run amounts to: bytes, or operations. */
  readonly amount: number
}

export class Roofline {
  readonly name: string
  readonly unit: 'GB/s' | 'GOPS'
  /** Every sample so far, in `unit`. */
  readonly rates: number[] = []
  readonly #pool: Pool
  readonly #probe: Probe

  constructor(name: string, unit: Roofline['unit'], pool: Pool, probe: Probe) {
    this.name = name
    this.unit = unit
    this.#pool = pool
    this.#probe = probe
  }

  /** Measures it once; returns the rate, in `unit`. */
  look(): number {
    const start = performance.now()
    this.#pool.runSync(this.#probe)
    const millis = performance.now() - start
    const rate = this.#probe.amount / millis / 1e6
    this.rates.push(rate)
    return rate
  }
}

/** The rooflines of a pool with native kernels, each made ready when it is first asked for. */
export class Rooflines {
  readonly #pool: Pool
  readonly #native: Native
  #memory: Float64Array | undefined
  #read: Roofline | undefined
  #peak: Roofline | undefined

  constructor(pool: Pool, native: Native) {
    this.#pool = pool
    this.#native = native
  }

  /** Read bandwidth, GB/s. Takes up to 1 GiB of memory. */
  get read(): Roofline {
    this.#read ??= new Roofline(
      'read',
      'GB/s',
      this.#pool,
      new ReadProbe(this.#native, this.memory),
    )
    return this.#read
  }

  /** int8 multiplications and additions, GOPS: two for each multiply-add. */
  get peak(): Roofline {
    this.#peak ??= new Roofline('peak', 'GOPS', this.#pool, new PeakProbe(this.#native, this.#pool))
    return this.#peak
  }

  /** What {@link read} reads. */
  get memory(): Float64Array {
    this.#memory ??= nonZeroMemory(this.#native, Math.min(READ_BYTES, os.freemem() / 4))
    return this.#memory
  }

  /** Those that were looked at. */
  get sampled(): Roofline[] {
    return [this.#read, this.#peak].filter((roofline) => roofline !== undefined)
  }
}

/**
 * Untouched memory would be one page of zeros, mapped again and again, and lie in the cache. In huge pages
 * reading is fastest, by two percent. Weights are not: their kernels gain nothing by it, and where memory
 * is in pieces the system takes milliseconds to find each.
 */
function nonZeroMemory(native: Native, mostBytes: number): Float64Array {
  const byteLength = Math.floor(mostBytes / READ_UNIT) * READ_UNIT
  const bytes = native.allocate(byteLength)
  native.adviseHugePages(native.address(bytes), byteLength)
  const { buffer, byteOffset } = bytes
  // by eight bytes: a fill of shared bytes writes one at a time
  return new Float64Array(buffer, byteOffset, byteLength / 8).fill(Math.PI)
}

class ReadProbe implements Probe {
  readonly #native: Native
  readonly #memory: Float64Array
  readonly #count: Uint8Array

  constructor(native: Native, memory: Float64Array) {
    this.#native = native
    this.#memory = memory
    this.#count = native.allocate(COUNT_BYTES)
  }

  get amount(): number {
    return this.#memory.byteLength
  }

  native() {
    const x = this.#native.address(this.#memory)
    const y = this.#native.address(this.#count)
    return [{ kind: OpKind.read, n: this.amount / READ_UNIT, x, y }]
  }

  script() {
    return []
  }
}

class PeakProbe implements Probe {
  readonly #native: Native
  readonly #units: number
  /** uint64: how many multiply-adds ran. */
  readonly #count: Uint8Array
  readonly amount: number

  constructor(native: Native, pool: Pool) {
    this.#native = native
    this.#units = PEAK_UNITS * pool.threads
    this.#count = native.allocate(COUNT_BYTES)
    // how many they are depends on the kernels, so run them once and look
    pool.runSync(this)
    const [macs] = new BigUint64Array(this.#count.buffer, this.#count.byteOffset, 1)
    this.amount = 2 * Number(macs)
  }

  native() {
    const y = this.#native.address(this.#count)
    return [{ kind: OpKind.peak, n: this.#units, y }]
  }

  script() {
    return []
  }
}

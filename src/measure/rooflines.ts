import os from 'node:os'
import type { Native } from '../native/abi.js'
import { OpKind } from '../native/layout.js'
import type { Op, RooflineOp } from '../native/op.js'
import type { Pool } from '../pool/pool.js'
import { COUNT_BYTES, nonZeroMemory, type Probe, readProbes, TRIALS } from './read-probe.js'
import { summarize } from './samples.js'

/*
 * The two bounds of a Linear, measured with all threads of a pool: how fast they read memory, which bounds few rows,
 * and how fast they multiply, which bounds many. And their clock, which shows whether the second is the core's maximum.
 */

/** One pass of DP_OP_READ reads this much memory, unless it is most of what the machine has. */
const READ_BYTES = 1 << 30

/** Units of DP_OP_PEAK and DP_OP_CLOCK per thread: 10 ms, in which no short disturbance counts for much. */
const UNITS = 512

export class Roofline<Unit extends 'GB/s' | 'GOPS' | 'GHz' = 'GB/s' | 'GOPS'> {
  readonly name: string
  readonly unit: Unit
  /** Every sample so far, in `unit`. */
  readonly rates: number[] = []
  readonly #pool: Pool
  readonly #probe: Probe

  constructor(name: string, unit: Unit, pool: Pool, probe: Probe) {
    this.name = name
    this.unit = unit
    this.#pool = pool
    this.#probe = probe
  }

  /** Measures it once, of cores that are awake: they take some ms to reach their clock. Returns the rate, in `unit`. */
  sample(): number {
    this.#pool.runSync(this.#probe)
    const rate = rateOf(this.#pool, this.#probe)
    this.rates.push(rate)
    return rate
  }
}

/** The rooflines of a pool with native kernels, each prepared at first use. */
export class Rooflines {
  readonly threads: number
  readonly #pool: Pool
  readonly #native: Native
  #memory: Float64Array | undefined
  #read: Roofline | undefined
  #peak: Roofline | undefined
  #clock: Roofline<'GHz'> | undefined

  constructor(pool: Pool, native: Native) {
    this.threads = pool.threads
    this.#pool = pool
    this.#native = native
  }

  /** Read bandwidth, GB/s, in the order that is fastest here. Takes up to 1 GiB of memory. */
  get read(): Roofline {
    this.#read ??= new Roofline('read', 'GB/s', this.#pool, this.#fastestRead())
    return this.#read
  }

  /** int8 multiplications and additions, GOPS: two for each multiply-add. */
  get peak(): Roofline {
    this.#peak ??= new Roofline('peak', 'GOPS', this.#pool, this.#counted(OpKind.peak, 2))
    return this.#peak
  }

  /** The rate at which a thread runs dependent additions, a cycle each, GHz. */
  get clock(): Roofline<'GHz'> {
    this.#clock ??= new Roofline(
      'clock',
      'GHz',
      this.#pool,
      this.#counted(OpKind.clock, 1 / this.threads),
    )
    return this.#clock
  }

  /** The memory of {@link read}. */
  get memory(): Float64Array {
    this.#memory ??= nonZeroMemory(this.#native, Math.min(READ_BYTES, os.freemem() / 4))
    return this.#memory
  }

  /** The rooflines with samples. */
  get sampled(): Roofline[] {
    return [this.#read, this.#peak].filter((roofline) => roofline !== undefined)
  }

  #fastestRead(): Probe {
    const probes = readProbes(this.#native, this.memory)
    const rates = probes.map((): number[] => [])
    for (let i = 0; i < TRIALS; i++) {
      for (const [j, probe] of probes.entries()) rates[j].push(rateOf(this.#pool, probe))
    }
    const medians = rates.map((trials) => summarize(trials).median)
    return probes[medians.indexOf(Math.max(...medians))]
  }

  #counted(kind: RooflineOp['kind'], weight: number): Probe {
    return new CountingProbe(this.#native, this.#pool, kind, weight)
  }
}

/** Amount per time, 10^9 / s. */
function rateOf(pool: Pool, probe: Probe): number {
  const start = performance.now()
  pool.runSync(probe)
  const millis = performance.now() - start
  return probe.amount / millis / 1e6
}

/** An op that counts its work, which depends on the kernels. */
class CountingProbe implements Probe {
  readonly amount: number
  readonly #op: Op

  /** @param weight of what it counts, in the amount */
  constructor(native: Native, pool: Pool, kind: RooflineOp['kind'], weight: number) {
    const count = native.allocate(COUNT_BYTES)
    this.#op = { kind, x: null, count, pieces: UNITS * pool.threads, streams: 0, ahead: 0 }
    pool.runSync(this)
    const [done] = new BigUint64Array(count.buffer, count.byteOffset, 1)
    this.amount = weight * Number(done)
  }

  ops() {
    return [this.#op]
  }
}

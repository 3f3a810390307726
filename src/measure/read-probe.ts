import type { Native } from '../native/abi.js'
import { OpKind, PAGES_IN_TURN } from '../native/layout.js'
import type { Op } from '../native/op.js'
import type { Program } from '../pool/program.js'

/** The unit of DP_OP_READ, bytes. */
const READ_UNIT = 1 << 20

/** Bytes of the uint64 that counts the work done. */
export const COUNT_BYTES = 8

/** The order in which memory is read: dp_read_order in C. */
interface ReadOrder {
  streams: 1 | 4
  /** Bytes, or `PAGES_IN_TURN`. */
  ahead: number
}

/** CPUs differ by half in which is fastest, so all are tried. */
const readOrders: readonly ReadOrder[] = [
  { streams: 1, ahead: 0 },
  { streams: 1, ahead: 1024 },
  { streams: 1, ahead: 4096 },
  { streams: 1, ahead: PAGES_IN_TURN },
  { streams: 4, ahead: 0 },
  { streams: 4, ahead: 512 },
  { streams: 4, ahead: 2048 },
]

/** Probes that read the memory, one for each order. */
export function readProbes(native: Native, memory: Float64Array): Probe[] {
  return readOrders.map((order) => new ReadProbe(native, memory, order))
}

/** Passes in each order; all take turns, and the median decides. */
export const TRIALS = 3

/** Work that measures a bound. */
export interface Probe extends Program {
  /** The amount of one run: bytes, operations, or cycles. */
  readonly amount: number
}

/**
 * Untouched memory would be one page of zeros, mapped again and again, and stay in the cache. Reading is fastest in
 * huge pages, by two percent on some CPUs, by a fifth on others. Weights use none: their kernels gain nothing, and
 * where memory is fragmented the system takes milliseconds to find each.
 */
export function nonZeroMemory(native: Native, mostBytes: number): Float64Array {
  const byteLength = Math.floor(mostBytes / READ_UNIT) * READ_UNIT
  const bytes = native.allocate(byteLength)
  native.adviseHugePages(native.address(bytes), byteLength)
  const { buffer, byteOffset } = bytes
  // by eight bytes: a fill of shared bytes writes one at a time
  return new Float64Array(buffer, byteOffset, byteLength / 8).fill(Math.PI)
}

class ReadProbe implements Probe {
  readonly amount: number
  readonly #op: Op

  constructor(native: Native, memory: Float64Array, { streams, ahead }: ReadOrder) {
    const count = native.allocate(COUNT_BYTES)
    this.amount = memory.byteLength
    const pieces = this.amount / READ_UNIT
    this.#op = { kind: OpKind.read, x: memory, count, pieces, streams, ahead }
  }

  ops() {
    return [this.#op]
  }
}

import type { Native } from '../native/abi.js'
import { encodeOp } from '../native/encode.js'
import { CACHE_LINE, OpLayout } from '../native/layout.js'
import type { Op } from '../native/op.js'

/**
 * Ops in memory of their own, written once and run again and again, however many they are. Whoever runs them keeps what
 * they refer to: C may look at a list long after its last program, which is to keep no weights alive.
 */
export class OpList {
  readonly length: number
  /** For TypeScript to run; none where there is C. */
  readonly ops: readonly Op[]
  /** Where C finds the ops, and the workers' progress with them; 0 where there is no C. */
  readonly address: number
  readonly progress: number
  /** Empty where there is no C. */
  readonly #words: Uint32Array

  constructor(native: Native | null, threads: number, ops: readonly Op[]) {
    this.length = ops.length
    this.ops = native === null ? ops : []
    this.address = this.progress = 0
    this.#words = new Uint32Array(0)
    if (native === null) return
    const opsBytes = Math.ceil((ops.length * OpLayout.words * 4) / CACHE_LINE) * CACHE_LINE
    const bytes = native.allocate(opsBytes + ops.length * native.progressBytes(threads))
    this.address = native.address(bytes)
    this.progress = this.address + opsBytes
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, opsBytes / 4)
    for (const [i, op] of ops.entries()) encodeOp(native, this.#words, i * OpLayout.words, op)
  }

  /** Lets op `i` work on so many rows from now on. Not while the list runs. */
  setRows(i: number, rows: number): void {
    const op = this.ops[i]
    if (op === undefined) this.#words[i * OpLayout.words + OpLayout.m] = rows
    else if ('m' in op) op.m = rows
  }
}

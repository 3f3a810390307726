import type { Native } from '../native/abi.js'
import { CACHE_LINE, OpLayout } from '../native/layout.js'
import { type NativeOp, writeOp } from './program.js'

/** Ops in memory of their own, written once and run again and again, however many they are. */
export class OpList {
  readonly length: number
  /** Where C finds the ops, and the workers' progress with them. */
  readonly address: number
  readonly progress: number
  readonly #words: Uint32Array

  constructor(native: Native, threads: number, ops: readonly NativeOp[]) {
    const opsBytes = Math.ceil((ops.length * OpLayout.words * 4) / CACHE_LINE) * CACHE_LINE
    const bytes = native.allocate(opsBytes + ops.length * native.progressBytes(threads))
    this.length = ops.length
    this.address = native.address(bytes)
    this.progress = this.address + opsBytes
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, opsBytes / 4)
    for (let i = 0; i < ops.length; i++) writeOp(this.#words, i * OpLayout.words, ops[i])
  }

  /** Lets op `i` work on so many rows from now on. Not while the list runs. */
  setRows(i: number, rows: number): void {
    this.#words[i * OpLayout.words + OpLayout.m] = rows
  }
}

import { InternalError } from '../../errors.js'
import type { Memory } from '../../pool/memory.js'
import type { ModelConfig } from '../config/config.js'
import { rotationTable } from './rope-frequencies.js'

/** Positions that are filled in at a time. */
const BLOCK = 1024

/** RoPE's cosines and sines by position, filled in as far as sequences have come. */
export class Rotations {
  /** float32 [positions][2][headDim / 2]: cosines, then sines. */
  readonly table: Float32Array
  readonly #config: ModelConfig
  readonly #positions: number
  #filled = 0

  constructor(memory: Memory, config: ModelConfig, positions: number) {
    this.table = memory.array('float32', positions * config.headDim)
    this.#config = config
    this.#positions = positions
  }

  /** Sees to it that positions below `end` are there. */
  fill(end: number): void {
    if (end > this.#positions) {
      throw new InternalError(`position ${end - 1} of a table of ${this.#positions}`)
    }
    while (this.#filled < end) {
      const to = Math.min(this.#filled + BLOCK, this.#positions)
      const { headDim, rope } = this.#config
      const { cos, sin } = rotationTable(headDim, rope, this.#filled, to)
      const half = headDim / 2
      for (let i = 0; i < to - this.#filled; i++) {
        const at = (this.#filled + i) * headDim
        this.table.set(cos.subarray(i * half, (i + 1) * half), at)
        this.table.set(sin.subarray(i * half, (i + 1) * half), at + half)
      }
      this.#filled = to
    }
  }
}

import { DRAWN, RowLayout } from '../../native/layout.js'
import type { SequenceRows } from '../../native/op.js'
import { type DrawOptions, PickRows } from '../../ops/pick-rows.js'
import type { Pool } from '../../pool/pool.js'
import type { Page } from './page.js'
import type { Sequence } from './sequence.js'

/** What is wanted of a row's logits: themselves, an id drawn from them, or how likely one is. */
export type Pick =
  | { action: 'nothing' }
  | { action: 'draw'; draw: DrawOptions }
  | { action: 'score'; id: number }

/**
 * The rows of one step where workers read them: every row is an id at a position of a sequence. Some of
 * them are outputs: their logits are wanted.
 */
export class Batch {
  readonly maxRows: number
  readonly maxOutputs: number
  /** Rows and outputs so far. */
  rows = 0
  outputs = 0
  /** dp_row [maxRows]. */
  readonly rowWords: Uint32Array
  /** The sequence of each row. */
  readonly sequences: Sequence[] = []
  /** The rows, and for each the pages of its sequence. */
  readonly sequenceRows: SequenceRows
  /** The row of each output, uint32 [maxOutputs]. */
  readonly outputRows: Uint32Array
  /** What shall become of the outputs' logits, and what has. */
  readonly picks: PickRows
  readonly #rowPages: BigUint64Array
  readonly #pages: Page[][] = []

  constructor(pool: Pool, maxRows: number, maxOutputs: number) {
    this.maxRows = maxRows
    this.maxOutputs = maxOutputs
    const rows = pool.memory.bytes(maxRows * RowLayout.words * 4)
    const outputs = pool.memory.bytes(maxOutputs * 4)
    this.rowWords = new Uint32Array(rows.buffer, rows.byteOffset, maxRows * RowLayout.words)
    this.#rowPages = new BigUint64Array(
      rows.buffer,
      rows.byteOffset,
      (maxRows * RowLayout.words) / 2,
    )
    this.sequenceRows = { words: this.rowWords, pages: this.#pages }
    this.outputRows = new Uint32Array(outputs.buffer, outputs.byteOffset, maxOutputs)
    this.picks = new PickRows(pool, maxOutputs)
  }

  clear(): void {
    this.rows = this.outputs = this.sequences.length = this.#pages.length = 0
  }

  /** Adds the id that an output of the batch before will have drawn by the time it is needed. */
  addDrawnRow(output: number, position: number, sequence: Sequence): void {
    this.addRow(DRAWN + output, position, sequence)
  }

  /** Adds an id at a position of a sequence. */
  addRow(id: number, position: number, sequence: Sequence): void {
    const row = this.rows++
    this.rowWords[row * RowLayout.words + RowLayout.id] = id
    this.rowWords[row * RowLayout.words + RowLayout.position] = position
    this.#rowPages[(row * RowLayout.words + RowLayout.pages) / 2] = BigInt(sequence.tableAddress)
    this.sequences.push(sequence)
    this.#pages.push(sequence.pages)
  }

  /** Makes the last row an output. Returns its number among the outputs. */
  addOutput(pick: Pick): number {
    const output = this.outputs++
    this.outputRows[output] = this.rows - 1
    this.setPick(output, pick)
    return output
  }

  setPick(output: number, pick: Pick): void {
    if (pick.action === 'nothing') this.picks.skip(output)
    else if (pick.action === 'draw') this.picks.draw(output, pick.draw)
    else this.picks.score(output, pick.id)
  }

  position(row: number): number {
    return this.rowWords[row * RowLayout.words + RowLayout.position]
  }
}

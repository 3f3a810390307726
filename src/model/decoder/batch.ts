import { FROM_SAMPLE, RowLayout } from '../../native/layout.js'
import type { SequenceRows } from '../../native/op.js'
import { type SampleOptions, SampleRows } from '../../ops/sample-rows.js'
import type { Pool } from '../../pool/pool.js'
import type { Page } from './page.js'
import type { Sequence } from './sequence.js'

/** What is wanted of a row's logits: themselves, an id sampled from them, or how likely one is. */
export type OutputUse =
  | { action: 'nothing' }
  | { action: 'sample'; options: SampleOptions }
  | { action: 'score'; id: number }

/** What is wanted of a row: its logits, or only the hidden state that they would come from. */
export type RowUse = OutputUse | { action: 'hidden' }

/**
 * The rows of one step where workers read them: every row is an id at a position of a sequence. Some of
 * them are outputs: their logits are wanted. Of others the hidden state is.
 */
export class Batch {
  readonly maxRows: number
  /** The most outputs, and the most rows whose hidden state is wanted. */
  readonly maxOutputs: number
  /** Rows so far, and those of either kind among them. */
  rows = 0
  outputs = 0
  hidden = 0
  /** dp_row [maxRows]. */
  readonly rowWords: Uint32Array
  /** The sequence of each row. */
  readonly sequences: Sequence[] = []
  /** The rows, and for each the pages of its sequence. */
  readonly sequenceRows: SequenceRows
  /** The row of each output, uint32 [maxOutputs]. */
  readonly outputRows: Uint32Array
  /** What shall become of the outputs' logits, and what has. */
  readonly samples: SampleRows
  /** The rows whose hidden state is wanted, uint32 [maxOutputs]. */
  readonly hiddenRows: Uint32Array
  /** What the final norm makes of them, float32 [maxOutputs, hiddenSize]. */
  readonly hiddenStates: Float32Array
  readonly #rowPages: BigUint64Array
  readonly #pages: Page[][] = []

  constructor(pool: Pool, maxRows: number, maxOutputs: number, hiddenSize: number) {
    this.maxRows = maxRows
    this.maxOutputs = maxOutputs
    const rows = pool.memory.bytes(maxRows * RowLayout.words * 4)
    this.rowWords = new Uint32Array(rows.buffer, rows.byteOffset, maxRows * RowLayout.words)
    this.#rowPages = new BigUint64Array(
      rows.buffer,
      rows.byteOffset,
      (maxRows * RowLayout.words) / 2,
    )
    this.sequenceRows = { words: this.rowWords, pages: this.#pages }
    const [outputs, hidden] = [1, 2].map(() => pool.memory.bytes(maxOutputs * 4))
    this.outputRows = new Uint32Array(outputs.buffer, outputs.byteOffset, maxOutputs)
    this.hiddenRows = new Uint32Array(hidden.buffer, hidden.byteOffset, maxOutputs)
    this.hiddenStates = pool.memory.array('float32', maxOutputs * hiddenSize)
    this.samples = new SampleRows(pool, maxOutputs)
  }

  clear(): void {
    this.rows = this.outputs = this.hidden = 0
    this.sequences.length = this.#pages.length = 0
  }

  /** Adds the id that an output of the batch before will have sampled by the time it is needed. */
  addSampledRow(output: number, position: number, sequence: Sequence): void {
    this.addRow(FROM_SAMPLE + output, position, sequence)
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

  /** Whether one more row may be used so. */
  hasRoomFor({ action }: RowUse): boolean {
    return (action === 'hidden' ? this.hidden : this.outputs) < this.maxOutputs
  }

  /** Has the last row used. Returns its number among those whose logits, or whose hidden states, are wanted. */
  addUse(use: RowUse): number {
    if (use.action !== 'hidden') return this.#addOutput(use)
    this.hiddenRows[this.hidden] = this.rows - 1
    return this.hidden++
  }

  #addOutput(use: OutputUse): number {
    const output = this.outputs++
    this.outputRows[output] = this.rows - 1
    this.setUse(output, use)
    return output
  }

  setUse(output: number, use: OutputUse): void {
    if (use.action === 'nothing') this.samples.skip(output)
    else if (use.action === 'sample') this.samples.sample(output, use.options)
    else this.samples.score(output, use.id)
  }

  position(row: number): number {
    return this.rowWords[row * RowLayout.words + RowLayout.position]
  }
}
